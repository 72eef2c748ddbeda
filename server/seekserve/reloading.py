"""A configuration read anew while the server runs: what changes at once, and what needs other engines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from seekserve.config import Config
from seekserve.errors import ConfigError
from seekserve.settings import Tier

ENGINES = ("engine", "engines", "nodes", "ladder", "hardware", "prefer", "floor_tokens_per_s")
"""Settings of a tier that engines are made from. The others hold for requests from now on."""

Told = Sequence[str]
"""What changed, in sentences."""


class Renewal(Protocol):
    """How a configuration comes to be in force: where it is read, and how engines follow it."""

    def read(self, running: Config, anew: bool) -> Config:
        """The configuration as its files have it now, planned for this machine; `anew` says that every
        engine is to start anew. Raises StartError.
        """

    async def roll(self, config: Config, force: bool) -> Told:
        """Brings the engines to it; those that are so already are left alone, unless `force` is meant.
        Raises EngineFailed when one does not come up.
        """


class Reloading:
    """`config` is what is in force. Without a `renewal` there is nothing to read but keys."""

    def __init__(
        self,
        config: Config,
        keys: Callable[[], Awaitable[Told]],
        renewal: Renewal | None,
        adopt: Callable[[Config], None],
    ) -> None:
        self._config, self._keys, self._renewal, self._adopt = config, keys, renewal, adopt

    async def __call__(self, engines: bool = False) -> Told:
        """Reads all anew; `engines` starts every engine anew as well, one after another.

        Raises ConfigError when the new configuration cannot be, and EngineFailed when an engine of it
        does not come up: then the old one is still in force.
        """
        told = list(await self._keys())
        if self._renewal is None:
            return told
        new = await asyncio.to_thread(self._renewal.read, self._config, engines)
        _fits(self._config.tier, new.tier)
        told += changes(self._config.tier, new.tier)
        told += await self._renewal.roll(new, engines)
        if new != self._config:
            self._adopt(new)
            self._config = new
        return told


def of_engines(tier: Tier) -> dict[str, Any]:
    """The settings that engines are made from."""
    return tier.model_dump(include=set(ENGINES))


def _fits(old: Tier, new: Tier) -> None:
    """Raises ConfigError for what cannot change while requests of it are here."""
    gone = old.classes.keys() - new.classes.keys()
    if gone:
        raise ConfigError(
            f"The new configuration has no class {', '.join(sorted(gone))}, and keys or requests may be "
            "of it.",
            "Keep the class (its share may be as small as you like), or restart the server.",
        )
    if old.prices.currency != new.prices.currency:
        raise ConfigError(
            f"The new prices are in {new.prices.currency}, and this month's sums in "
            f"{old.prices.currency}.",
            "Restart the server to change the currency.",
        )


def changes(old: Tier, new: Tier) -> Iterator[str]:
    """Every setting that is another now, such as "limits.running: 32 -> 64"."""
    before, after = (
        dict(_flat(old.model_dump(mode="json"))),
        dict(_flat(new.model_dump(mode="json"))),
    )
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, 'unset')} -> {after.get(name, 'unset')}"


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value

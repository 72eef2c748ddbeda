"""A configuration read anew while the server runs: what changes at once, and what needs other engines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from seekserve.config import Config
from seekserve.engine.assembly import Launching
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.settings import Tier

ENGINES = ("engine", "engines", "ladder", "hardware", "prefer", "floor_tokens_per_s")
"""Settings of a tier that engines are made from. The others hold for requests from now on."""

Read = Callable[[], Config]
Choose = Callable[[Config], tuple[Config, Launching | None]]
Adopt = Callable[[Config], None]
Roll = Callable[[Config, Launching | None, bool], Awaitable[list[str]]]


class Reloading:
    """`config` is what is in force. One reload at a time: another waits for it."""

    def __init__(
        self, config: Config, read: Read, choose: Choose, adopt: Adopt, roll: Roll, log: Log
    ) -> None:
        self._config, self._read, self._choose = config, read, choose
        self._adopt, self._roll, self._log = adopt, roll, log
        self._one = asyncio.Lock()

    async def __call__(self, engines: bool = False) -> list[str]:
        """What changed, in words; `engines` starts every engine anew. Raises ConfigError when the new
        configuration cannot be, and EngineFailed when an engine of it does not come up: then the old
        one is still in force.
        """
        async with self._one:
            new = await asyncio.to_thread(self._read)
            _fits(self._config.tier, new.tier)
            told = [*changes(self._config.tier, new.tier)]
            if engines or _of_engines(self._config.tier) != _of_engines(new.tier):
                told += await self._rolled(new, engines)
            self._adopt(new)
            self._config = new
            self._log.event("reload", changed=len(told))
            return told

    async def _rolled(self, new: Config, engines: bool) -> list[str]:
        if new.attach:
            return []
        planned, launching = await asyncio.to_thread(self._choose, new)
        return await self._roll(planned, launching, engines)


def _of_engines(tier: Tier) -> dict[str, Any]:
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

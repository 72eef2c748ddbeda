"""The keyring in force, and the watch on the key file that replaces it. Alone writes `ring`.

Whether the server is open is decided once, at its start. It closes for good when a key file appears
(even one that cannot be read), and never opens again by itself: keys that vanish let nobody in.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Self

from seekserve.config import Config
from seekserve.errors import ConfigError
from seekserve.gateway import keyfile
from seekserve.gateway.keyfile import Read, Stamp
from seekserve.gateway.keys import Door, Key, Keyring
from seekserve.log import Log
from seekserve.metrics import OTHERS, TOP_KEYS, Reading, top

LOOK_S = 0.5
RETRY_S = 5.0
"""How often a file is tried again that could not be read and has not changed since."""
NAMED = 5


class KeyWatch:
    """Inside its `async with` a change of the file is in force within two seconds. Raises ConfigError for
    a file that cannot be read now; later such a file leaves the last good keyring in force.
    """

    def __init__(self, config: Config, log: Log) -> None:
        self._path, self._log = config.state_dir / keyfile.NAME, log
        self._hashes, self._classes = config.key_hashes, frozenset(config.tier.classes)
        read = keyfile.read(self._path)
        self._stamp, self._fault, self._tried_at = read.stamp, "", 0.0
        self.ring = Keyring(self._hashes, read.keys, _door(config, read))
        self._one_look = (
            asyncio.Lock()
        )  # an older look that ends later must not bring old keys back
        self._tell_classes()

    async def __aenter__(self) -> Self:
        await self._glance()  # keys may have come since the file was read
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def adopt(self, config: Config) -> None:
        """The classes that keys may be of are these from now on."""
        self._classes = frozenset(config.tier.classes)

    async def reload(self) -> tuple[str, ...]:
        """Looks at once. Says what changed; raises ConfigError when the last good keyring stays."""
        before = {key.id: key for key in self.ring.keys}
        await self._look(await asyncio.to_thread(keyfile.stamp, self._path))
        if self._fault:
            raise ConfigError(
                self._fault,
                f"The keys from before stay in force ({len(self.ring)}). Mend the file.",
            )
        return _changes(before, {key.id: key for key in self.ring.keys})

    def gauges(self) -> list[Reading]:
        now = datetime.now(UTC)
        states = collections.Counter(key.state(now) for key in self.ring.keys)
        return [
            ("keys", "Keys of the key file in force.", ("state",), [((s,), n) for s, n in states.items()]),
            (
                "key_file_failing",
                "1 while the key file cannot be read and the keyring before it stays in force.",
                (),
                [((), float(bool(self._fault)))],
            ),
            (
                "key_expires_timestamp_seconds",
                f"When keys in force end (Unix time): the {TOP_KEYS} first, and the next of the rest.",
                ("key",),
                _endings(self.ring.keys, now),
            ),
            (
                "key_budget",
                f"The {TOP_KEYS} largest monthly budgets of keys in force, in the tier's currency.",
                ("key",),
                top({k.name: k.monthly_budget for k in self.ring.keys
                     if k.monthly_budget and k.state(now) == "active"})[:-1],
            ),
        ]  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._glance()

    async def _glance(self) -> None:
        stamp = await asyncio.to_thread(keyfile.stamp, self._path)
        retry = self._fault and time.monotonic() - self._tried_at > RETRY_S
        if stamp != self._stamp or retry:
            await self._look(stamp)

    async def _look(self, stamp: Stamp) -> None:
        async with self._one_look:
            self._tried_at = time.monotonic()
            try:
                read = await asyncio.to_thread(keyfile.read, self._path)
            except ConfigError as error:
                self._keep(stamp, error.message)
            except Exception as error:  # noqa: BLE001  a watch that died would let revoked keys in
                self._keep(stamp, f"{type(error).__name__} while reading it")
            else:
                self._swap(read)

    def _keep(self, stamp: Stamp, fault: str) -> None:
        """The last good keyring stays, but a server that was open is meant to be so no longer."""
        if (stamp, fault) != (self._stamp, self._fault):
            self._log.event("key_file_failed", why=fault, keys_in_force=len(self.ring))
        self._stamp, self._fault = stamp, fault
        if self.ring.door != "closed":
            self.ring = Keyring(self._hashes, self.ring.keys)
            self._log.event("closed", why="a key file appeared: a key is demanded from now on")

    def _swap(self, read: Read) -> None:
        door: Door = "closed" if read.stamp else self.ring.door
        if door != self.ring.door:
            self._log.event("closed", why="a key file appeared: a key is demanded from now on")
        self.ring = Keyring(self._hashes, read.keys, door)
        self._stamp, self._fault = read.stamp, ""
        self._log.event("keys_read", keys=len(read.keys), door=door)
        self._tell_classes()

    def _tell_classes(self) -> None:
        """Which keys are let in nowhere, since the tier that serves does not have their class."""
        lost = [k for k in self.ring.keys if k.class_name and k.class_name not in self._classes]
        if lost:
            names = ", ".join(f"{key.name} ({key.class_name})" for key in lost[:NAMED])
            self._log.event("keys_of_unknown_class", count=len(lost), keys=names)


def _changes(before: Mapping[str, Key], after: Mapping[str, Key]) -> tuple[str, ...]:
    kinds = {
        "added": after.keys() - before.keys(),
        "removed": before.keys() - after.keys(),
        "changed": {one for one in before.keys() & after.keys() if before[one] != after[one]},
    }
    known = {**before, **after}
    return tuple(
        f"keys {kind}: {', '.join(sorted(known[one].name for one in ids))}"
        for kind, ids in kinds.items()
        if ids
    )


def _endings(keys: Iterable[Key], now: datetime) -> list[tuple[tuple[str, ...], float]]:
    """Those that have ended already say no more: their clients are counted as api_key_expired."""
    ends = sorted(
        (key.expires_at.timestamp(), key.name)
        for key in keys
        if key.expires_at and key.state(now) == "active"
    )
    rows: list[tuple[tuple[str, ...], float]] = [((name,), at) for at, name in ends[:TOP_KEYS]]
    return [*rows, *(((OTHERS,), at) for at, _ in ends[TOP_KEYS : TOP_KEYS + 1])]


def _door(config: Config, read: Read) -> Door:
    """Open only to this machine, or as --no-auth has it; and only where there is no key at all."""
    if config.key_hashes or read.keys or config.keys_stored:
        return "closed"
    if config.listen.loopback:
        return "local"
    return "anyone" if config.no_auth else "closed"

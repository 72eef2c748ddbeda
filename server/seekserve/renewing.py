"""How a server that runs comes to another configuration: its files read again, its engines brought to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from seekserve.config import Config
from seekserve.engine import beside
from seekserve.engine.assembly import Launching, as_written, launched, order
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.rolling import Rolling
from seekserve.engine.spread import Spread
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.plan.command import shared
from seekserve.plan.wish import Plan
from seekserve.reloading import of_engines
from seekserve.settings import Tier

Again = Callable[[], Config]
"""Reads the same files and flags once more. Raises StartError."""
Planned = Callable[[Config], tuple[Config, Launching | None]]
OURS = ("temperature", "top_p")
"""Defaults that come with a planned model, where the file does not say them."""


class Renewing:
    """`again` reads, `planned` chooses for this machine. `written` is the configuration as its files had it
    at the start, `launching` what was planned then.
    """

    def __init__(
        self,
        fleet: Fleet,
        again: Again,
        planned: Planned,
        log: Log,
        written: Config,
        launching: Launching | None,
    ) -> None:
        self._fleet, self._again, self._planned, self._log = fleet, again, planned, log
        self._written = self._read = written
        self._launching = launching

    @property
    def plan(self) -> Plan | None:
        """What the engines were planned to be, where they were."""
        return self._launching.plan if self._launching else None

    def read(self, running: Config, anew: bool) -> Config:
        """Where the server listens stays as it is: that takes a restart. So does the choice of a ladder,
        which looks at memory that our own engines hold now. A commit that was fetched since the engines
        started is named to those that are to start `anew`, or as others. Raises StartError.
        """
        written = self._read = self._again()
        if (written.tier.ladder or self._written.tier.ladder) and not written.attach:
            config = self._as_planned(written, running)
        elif not anew and _alike(written.tier, self._written.tier):
            tier = written.tier.model_copy(update={"engine": running.tier.engine})
            config = written.model_copy(update={"tier": tier})
        else:
            config, _ = self._planned(written)  # what is launched is chosen for ladders only
        bound = {"listen": running.listen, "ops": running.ops, "cluster": running.cluster}
        return config.model_copy(update=bound)

    def _as_planned(self, written: Config, running: Config) -> Config:
        if of_engines(written.tier) != of_engines(self._written.tier):
            raise ConfigError(
                "The ladder or the engine's settings have changed, and what fits is only known while no "
                "engine holds the memory.",
                "Restart the server to plan anew. Limits, classes, names and prices can be reloaded.",
            )
        tier = kept(written.tier, self._written.tier, running.tier)
        return written.model_copy(update={"tier": tier})

    async def roll(self, config: Config, force: bool) -> Sequence[str]:
        done = await self._rolled(config, force)
        if not self._written.tier.ladder:  # what was planned from one goes by what it was then
            self._written = self._read
        return done

    async def _rolled(self, config: Config, force: bool) -> Sequence[str]:
        ours = [engine for engine in self._fleet.engines if isinstance(engine, Launched)]
        if config.attach or not ours:
            return []
        muster = ours[0].muster if isinstance(ours[0], Spread) else None
        if config.tier.nodes != (muster.nodes if muster else 1):
            raise ConfigError(
                f"{config.tier.nodes} nodes are asked for now, and the server was started for "
                f"{muster.nodes if muster else 1}.",
                "Restart the server for another number of nodes.",
            )
        if (launching := self._launching) is None:
            launching = await asyncio.to_thread(as_written, config)
        if launching.platform != "cpu" and len(ours) != config.tier.engines:
            raise ConfigError(
                f"{len(ours)} engines share the accelerators now, and {config.tier.engines} are asked for: "
                "their parts would overlap.",
                "Restart the server for another number of engines.",
            )
        run_dir = Path(ours[0].snapshot.address.path).parent

        def make(number: int) -> Launched:
            return launched(config, run_dir, self._log, launching, number, muster)

        def order_of(engine: Launched) -> Order:
            return order(config, launching, Path(engine.snapshot.address.path), engine.number)

        alone = len(ours) == 1 and not muster  # the other nodes carry one engine at a time
        room = alone and await asyncio.to_thread(beside.room, ours[0], launching.platform)
        return await Rolling(self._fleet, make, order_of, room).to(config.tier.engines, force)


def _alike(one: Tier, other: Tier) -> bool:
    """Whether engines of both are started with the same; some limits are told to them."""
    told = [shared(tier.engine, "cpu", tier.limits) for tier in (one, other)]
    return of_engines(one) == of_engines(other) and told[0] == told[1]


def kept(written: Tier, before: Tier, running: Tier) -> Tier:
    """The tier as it is written now, with what was planned from it as it was `before`."""
    most = written.limits.running
    if running.limits.running < before.limits.running:  # the plan had room for fewer
        most = min(most, running.limits.running)
    limits = written.limits.model_copy(update={"running": most})
    said = written.defaults.model_fields_set
    own = {name: getattr(running.defaults, name) for name in OURS if name not in said}
    defaults = written.defaults.model_copy(update=own)
    changed = {"engine": running.engine, "limits": limits, "defaults": defaults}
    return written.model_copy(update=changed)

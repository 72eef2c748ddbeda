"""How a server that runs comes to another configuration: its files read again, its engines brought to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seekserve.config import Config
from seekserve.engine import beside
from seekserve.engine.assembly import Launching, as_written, launched, order
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.rolling import Rolling
from seekserve.log import Log

Again = Callable[[], Config]
"""Reads the same files and flags once more. Raises StartError."""
Planned = Callable[[Config], tuple[Config, Launching | None]]


class Renewing:
    """`again` reads, `planned` chooses for this machine."""

    def __init__(self, fleet: Fleet, again: Again, planned: Planned, log: Log) -> None:
        self._fleet, self._again, self._planned, self._log = fleet, again, planned, log
        self._launching: Launching | None = None

    def read(self, running: Config) -> Config:
        """Where the server listens stays as it is: that takes a restart."""
        config, self._launching = self._planned(self._again())
        return config.model_copy(update={"listen": running.listen, "ops": running.ops})

    async def roll(self, config: Config, force: bool) -> Sequence[str]:
        ours = [engine for engine in self._fleet.engines if isinstance(engine, Launched)]
        if config.attach or not ours:
            return []
        launching = self._launching or as_written(config)
        run_dir = Path(ours[0].snapshot.address.path).parent

        def make(number: int) -> Launched:
            return launched(config, run_dir, self._log, launching, number)

        def order_of(engine: Launched) -> Order:
            return order(config, launching, Path(engine.snapshot.address.path), engine.number)

        room = len(ours) == 1 and beside.room(ours[0], launching.platform)
        return await Rolling(self._fleet, make, order_of, room).to(config.tier.engines, force)

"""An engine of ours over several nodes: it lives while its processes on all of them do.

A rank that hangs in a collective does not hear of another's death, so the end of one, or the loss of its
node, is the end of all; and the next life begins when all nodes are there again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

from seekserve.engine.ends import Ends
from seekserve.engine.engine import NODES, State
from seekserve.engine.launched import Launched, Order
from seekserve.engine.muster import Muster
from seekserve.engine.process import HURRY_S, Process
from seekserve.engine.shift import Shift
from seekserve.log import Log

OWN_S = 1.0


class Group(Process):
    """The process here, and with `lead` those on the other nodes: they end together."""

    _muster: Muster
    _shift: Shift

    def lead(self, muster: Muster, shift: Shift) -> None:
        self._muster, self._shift = muster, shift

    @property
    def blameless(self) -> bool:
        return bool(self._shift.amiss and self._shift.amiss.lost)

    async def wait(self) -> int:
        """Until the first of them has ended. The code is ours, -9 where ours did not end. One of ours that
        gave up by itself may have heard of another's end before we do.
        """
        async with Ends() as ends:
            here, there = ends.add(super().wait()), ends.add(self._shift.until_amiss())
            await asyncio.wait([here, there], return_when=asyncio.FIRST_COMPLETED)
            if here.done() and here.result() > 0:
                await asyncio.wait([there], timeout=OWN_S)
            if amiss := self._shift.amiss:
                self.tail.extend(amiss.said)
            return here.result() if here.done() else -9

    def youngest_s(self) -> float | None:
        """On any node: all ranks wait for one that compiles."""
        here, now = super().youngest_s(), time.monotonic()
        there = now - self._shift.born_at if self._shift.born_at else here
        return there if here is None or there is None else min(here, there)

    @property
    def spoke_at(self) -> float:
        return self._shift.spoke_at

    def at(self, stage: str) -> str:
        return "; ".join([stage, *self._shift.stages()])

    def how(self, code: int) -> str:
        return self._shift.amiss.cause if self._shift.amiss else super().how(code)

    def exit_of(self, code: int) -> int | None:
        """Where another node was the first, ours was killed by us."""
        return self._shift.amiss.code if self._shift.amiss else code

    def hurry(self, within_s: float = HURRY_S) -> None:
        super().hurry(within_s)
        if self._patience:  # the others were told more
            self._shift.hurry(within_s)

    async def stop(self) -> None:
        async with Ends() as ends:
            others = ends.add(self._others_stop())
            await super().stop()
            await others

    async def _others_stop(self) -> None:
        for member in await self._shift.end(self._grace_s):
            self._muster.drop(member)


class Spread(Launched):
    """`muster` knows the other nodes; it outlives every life of the engine."""

    def __init__(
        self, name: str, order: Order, socket: Path, log_file: Path, log: Log, muster: Muster
    ) -> None:
        super().__init__(name, order, socket, log_file, log)
        self.muster = muster
        self._count()
        muster.counted = self._counted

    def _counted(self) -> None:
        self._count()
        self._tell()

    def _count(self) -> None:
        muster = self.muster
        seen = {"nodes": muster.nodes, "joined": muster.joined, "where": muster.where}
        self.snapshot = dataclasses.replace(self.snapshot, **seen)  # type: ignore[arg-type]

    async def _gathered(self) -> bool:
        if not self.muster.whole:
            self._become(State.STARTING, stage=NODES, share=None)
        while not self.muster.whole and not self._asked.is_set():
            self.muster.changed.clear()
            async with Ends() as ends:
                news = [ends.add(self.muster.changed.wait()), ends.add(self._asked.wait())]
                await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        return not self._asked.is_set()

    async def _spawn(self) -> Process:
        """Nothing is waited for since all were there: whoever leaves now is missed by the shift."""
        grace_s = self._order.settings.stop_grace_s
        orders = [(command.argv, dict(command.env)) for command in self._order.others]
        shift = self.muster.begin(orders, grace_s)
        try:
            group = await Group.spawn(self._order.command, self._log_file, self._heard, grace_s)
        except BaseException:
            await shift.end(HURRY_S)
            raise
        group.lead(self.muster, shift)
        return group

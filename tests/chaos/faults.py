"""Does what a schedule says, and writes down what came of it.

An engine is struck only while all of them are ready, so that there is always another one; how late that
made it is noted, and what came too late for the run's time is left out and told.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from seekserve.errors import ConfigError
from tests.chaos import engines, rude
from tests.chaos.load import Load
from tests.chaos.records import Stroke
from tests.chaos.schedule import Fault, Line
from tests.chaos.served import NotServed, change_spare
from tests.chaos.stage import RUNNING, Stage, tier_of, write_tier

PATIENCE_S = 90.0
"""Within which an engine that was struck is found out and is back."""
HELD_S = 5.0
"""How long an engine refuses or talks garbage, and the disk is full."""
BEARABLE = ("refuse", "garbage", "unlink-socket", "kill")
"""Faults that a server may get by with, without giving up an engine that is not its own."""


class Faults:
    def __init__(self, stage: Stage, load: Load, faults: Sequence[Fault], seconds: float) -> None:
        self._stage, self._load, self._faults = stage, load, faults
        self._seconds = seconds
        self.strokes: list[Stroke] = []
        self.left_out: list[Fault] = []

    async def run(self) -> None:
        """The three lines beside each other, until the last fault is over."""
        began = time.monotonic()
        await asyncio.gather(*(self._line(line, began) for line in ("engine", "server", "client")))

    async def _line(self, line: Line, began: float) -> None:
        for fault in self._faults:
            if fault.line == line:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                if time.monotonic() > began + self._seconds:
                    self.left_out.append(fault)
                    continue
                match line:
                    case "engine":
                        await self._engine(fault, began)
                    case "server":
                        await self._server(fault)
                    case "client":
                        await self._client(fault)

    def _note(self, fault: Fault, engine: int | None = None) -> Stroke:
        stroke = Stroke(fault.kind, time.monotonic(), engine)
        self.strokes.append(stroke)
        return stroke

    async def _client(self, fault: Fault) -> None:
        self._note(fault)
        await rude.WAYS[fault.kind](self._load)

    async def _server(self, fault: Fault) -> None:
        stroke = self._note(fault)
        if fault.kind == "disk-full":
            self._stage.disk.fill()
            try:
                await asyncio.sleep(HELD_S)
            finally:
                self._stage.disk.clear()
        else:
            await self._reload(stroke)

    async def _reload(self, stroke: Stroke) -> None:
        """Other limits, and another cap on a key; then SIGHUP."""
        served, count = self._stage.served, len(self.strokes)
        told = tier_of(self._stage.kind, RUNNING - count % 3, queued=512 + count % 2)
        write_tier(self._stage.tier, told)
        with suppress(ConfigError):
            change_spare(served.state, 100 + count)
        served.process.send_signal(signal.SIGHUP)
        said = await served.heard(stroke.at, "ops", 30, action="reload")
        if said is None or "failed" in said.facts:
            stroke.note = "nothing came of it" if said is None else str(said.facts["failed"])

    async def _engine(self, fault: Fault, began: float) -> None:
        with suppress(NotServed):
            await self._stage.served.all_ready(PATIENCE_S)
        stroke = self._note(fault, fault.engine)
        late_s = stroke.at - began - fault.at
        stroke.note = f"{late_s:.0f} s late" if late_s > 1 else ""
        if self._stage.crew:
            await self._fake(fault, stroke)
        else:
            await self._real(fault, stroke)

    async def _fake(self, fault: Fault, stroke: Stroke) -> None:
        assert self._stage.crew is not None
        await self._stage.crew.strike(fault.engine, fault.kind, fault.shade)
        await self._fenced(stroke, HELD_S if fault.kind in BEARABLE else PATIENCE_S)
        if await self._stage.crew.mend(fault.engine, fault.kind) and stroke.fenced_at is None:
            await self._fenced(stroke, HELD_S)
        await self._back(stroke)

    async def _real(self, fault: Fault, stroke: Stroke) -> None:
        try:
            engines.strike(self._stage.served.pid, fault.engine, fault.kind)
        except (engines.Gone, OSError) as gone:
            stroke.note = f"not struck: {gone}"
            return
        await self._fenced(stroke, PATIENCE_S)
        await self._back(stroke)

    async def _fenced(self, stroke: Stroke, within_s: float) -> None:
        served, name = self._stage.served, f"engine-{stroke.engine}"
        said = await served.heard(stroke.at, "engine", within_s, name=name, state="starting")
        stroke.fenced_at = said.at if said else None

    async def _back(self, stroke: Stroke) -> None:
        """Ready once more, or all the time."""
        served, name = self._stage.served, f"engine-{stroke.engine}"
        if stroke.fenced_at is not None:
            said = await served.heard(stroke.fenced_at, "engine", 240, name=name, state="ready")
            stroke.back_at = said.at if said else None
        else:
            with suppress(NotServed):
                await served.all_ready(PATIENCE_S)
                stroke.back_at = time.monotonic()

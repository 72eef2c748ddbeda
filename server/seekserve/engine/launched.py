"""An engine of our own: a child process on a Unix socket in a private directory."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seekserve.engine import restart, startup
from seekserve.engine.address import Address
from seekserve.engine.ends import Ends
from seekserve.engine.engine import POLL_S, Engine, State
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command, Process
from seekserve.engine.remedies import remedy
from seekserve.engine.restart import HALF_A_LIFE_S, Life
from seekserve.log import Log
from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to be, and on `others` nodes if any. `planned` are figures to check it by."""

    command: Command
    settings: EngineSettings
    planned: Mapping[str, float] = field(default_factory=dict)
    manner: Manner = UNKNOWN
    others: tuple[Command, ...] = ()


class Launched(Engine):
    """A child of ours. Restarted when it dies, hangs or is to be renewed after it was ready; failed when
    it never got there, or dies again and again.
    """

    def __init__(self, name: str, order: Order, socket: Path, log_file: Path, log: Log) -> None:
        models = tuple(ModelCard(m, manner=order.manner) for m in order.settings.served_as)
        address = Address(path=str(socket))
        super().__init__(name, address, models, log, knows=lambda card: self._order.manner)
        self._order = order
        self.snapshot = dataclasses.replace(self.snapshot, planned=order.planned)
        self._socket, self._log_file = socket, log_file
        self._entered = self._spoke = 0.0
        self._asked = asyncio.Event()
        self._retired = False
        self._process: Process | None = None

    @property
    def order(self) -> Order:
        return self._order

    @property
    def number(self) -> int:
        """As its name ends."""
        return int(self.snapshot.name.rpartition("-")[2])

    def resident_gib(self) -> float | None:
        """Main memory that its processes hold; None where that cannot be known."""
        return self._process.resident_gib() if self._process else None

    def adopt(self, order: Order) -> None:
        """Its next life is this one's."""
        self._order = order

    def renew(self) -> None:
        self._asked.set()

    def retire(self) -> None:
        self._retired = True
        self._asked.set()

    def hurry(self) -> None:
        if self._process:
            self._process.hurry(0.0)

    async def run(self) -> None:
        lives: list[float] = []
        try:
            while not self._retired:
                life = await self._live()
                if life.asked:
                    lives[:] = [restart.SETTLED_S]
                wait_s = 0.0 if life.asked else self._rest(lives, life)
                if wait_s is None:
                    self._become(State.FAILED)
                    return
                if not self._retired:
                    again = self.snapshot.restarts + 1
                    self._become(State.STARTING, stage="wait", restarts=again)
                    await self._rested(wait_s)
        finally:
            await self.probe.__aexit__()
            if self.snapshot.state is not State.FAILED:
                self._become(State.STOPPED)

    def _rest(self, lives: list[float], life: Life) -> float | None:
        lives.append(life.ready_s)
        return restart.next_wait(lives, self._order.settings.max_restarts)

    async def _rested(self, wait_s: float) -> None:
        """One that is asked for does not wait its back-off out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._asked.wait()

    async def _live(self) -> Life:
        self._socket.unlink(missing_ok=True)  # vLLM does not remove a stale one: "address in use"
        self._asked.clear()
        if not await self._gathered():
            return Life(0.0, asked=True)
        self._entered = self._spoke = time.monotonic()
        fresh: dict[str, Any] = {"share": None, "stage_s": {}, "actual": {}}
        planned = self._order.planned
        self._become(State.STARTING, stage="launch", planned=planned, cause="", todo="", **fresh)
        try:
            process = await self._spawn()
        except OSError as error:
            self._blame(f"{self._order.command.argv[0]} cannot be run: {error.strerror}.", [])
            return Life(0.0)
        async with process, self._minded(process):
            return await self._lived(process)

    async def _gathered(self) -> bool:
        """Whether all it needs to start is there; False where it is to end, or to be another, instead."""
        return True

    @asynccontextmanager
    async def _minded(self, process: Process) -> AsyncIterator[None]:
        self._process = process
        try:
            yield
        finally:
            if self.snapshot.state is State.READY:
                self._become(State.DRAINING)
            elif self.snapshot.state is not State.DRAINING:
                process.hurry()  # it has nothing to finish
            self._socket.unlink(missing_ok=True)

    async def _spawn(self) -> Process:
        return await Process.spawn(
            self._order.command, self._log_file, self._heard, self._order.settings.stop_grace_s
        )

    async def _lived(self, process: Process) -> Life:
        async with Ends() as ends:
            exited, asked = ends.add(process.wait()), ends.add(self._asked.wait())
            if not await self._until_ready(process, exited):
                return Life(HALF_A_LIFE_S if process.blameless else 0.0, self._asked.is_set())
            ready_at = time.monotonic()
            amiss = ends.add(self._until_amiss())
            await asyncio.wait([exited, amiss, asked], return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                await self._drained(exited)
                return Life(time.monotonic() - ready_at, asked=True)
            if exited.done():
                self._exited(process, exited.result())
            else:
                self._ended("fenced")
                process.hurry(0.0)  # one that hangs does not hear; its requests wait for its end
                self._blame(self._named(amiss.result()), [])
            self._become(State.STARTING, stage="end")
            return Life(max(time.monotonic() - ready_at, HALF_A_LIFE_S))

    def _named(self, amiss: str) -> str:
        return amiss if self._socket.exists() else f"its socket is gone, and {amiss}"

    async def _drained(self, exited: asyncio.Task[int]) -> None:
        """Until what it works on is done, or its grace is over."""
        self._become(State.DRAINING)
        deadline = time.monotonic() + self._order.settings.drain_s
        while self.seen().requests and time.monotonic() < deadline and not exited.done():
            await asyncio.wait([exited], timeout=POLL_S)

    async def _until_ready(self, process: Process, exited: asyncio.Task[int]) -> bool:
        settings = self._order.settings
        deadline = time.monotonic() + settings.start_timeout_s
        while (now := time.monotonic()) < deadline and not self._asked.is_set():
            if exited.done():
                self._exited(process, exited.result())
                return False
            if self._socket.exists() and (cards := await self.probe.models()):
                ready = {"stage": "", "share": None, "stage_s": self._booked()}
                self._become(State.READY, models=self._known(cards), **ready)
                self._compare()
                return True
            if now - max(self._spoke, process.spoke_at) > settings.stall_s:
                self._late(process, f"it stalled: silent for {settings.stall_s:.0f} s")
                return False
            await asyncio.wait([exited], timeout=POLL_S)
        if not self._asked.is_set():
            self._late(process, f"it was not ready after {settings.start_timeout_s:.0f} s")
        return False

    def _late(self, process: Process, how: str) -> None:
        self._ended("stalled")
        self._blame(f"{how} (stage: {process.at(self.snapshot.stage)})", list(process.tail))

    def _youngest_s(self) -> float | None:
        return self._process.youngest_s() if self._process else None

    def _heard(self, line: str) -> None:
        """Called with every line the engine prints; while it starts, lines tell the stage."""
        self._spoke = time.monotonic()
        if self.snapshot.state is not State.STARTING:
            return
        if found := startup.figure(line):
            actual = dict(self.snapshot.actual) | dict([found])
            self.snapshot = dataclasses.replace(self.snapshot, actual=actual)
        step = startup.read(line, self.snapshot.stage or "launch")
        if step and (step.stage, step.share) != (self.snapshot.stage, self.snapshot.share):
            self._enter(step.stage, step.share)

    def _compare(self) -> None:
        """Logs how far the plan was off, for every figure that both sides gave."""
        snapshot = self.snapshot
        for name in snapshot.planned.keys() & snapshot.actual.keys():
            planned, actual = snapshot.planned[name], snapshot.actual[name]
            error = f"{planned / actual - 1:+.1%}" if actual else None
            self._log.event(
                "plan", name=snapshot.name, of=name, planned=planned, actual=actual, error=error
            )

    def _enter(self, stage: str, share: float | None) -> None:
        spent = self._booked() if stage != self.snapshot.stage else self.snapshot.stage_s
        self.snapshot = dataclasses.replace(self.snapshot, stage=stage, share=share, stage_s=spent)
        self._tell()

    def _booked(self) -> dict[str, float]:
        """The stages' seconds, with those since the last move booked on the stage that ends now."""
        now = time.monotonic()
        spent = now - self._entered
        self._entered = now
        return self.snapshot.stage_s | {self.snapshot.stage: spent}

    def _exited(self, process: Process, code: int) -> None:
        self._ended("exited")
        self._blame(process.how(code), list(process.tail), process.exit_of(code))

    def _remedy(self, said: list[str], code: int | None) -> str:
        command = self._order.command
        return remedy(said, command.argv, command.env, code)

    def _blame(self, cause: str, said: list[str], code: int | None = None) -> None:
        lines = startup.last_useful(said)
        told = "".join(f"\n    {line}" for line in lines)
        where = f"\n  Its whole log: {self._log_file}" if said else ""
        self.snapshot = dataclasses.replace(
            self.snapshot, cause=f"{cause}.{told}{where}", todo=self._remedy(said, code)
        )

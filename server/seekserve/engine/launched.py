"""An engine of our own: a child process on a Unix socket in a private directory."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from seekserve.engine import restart, startup
from seekserve.engine.address import Address
from seekserve.engine.engine import POLL_S, Engine, State
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command, Process
from seekserve.log import Log
from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import EngineSettings

RENEWED = -1.0
T = TypeVar("T")


class Launched(Engine):
    """A child of ours. Restarted when it dies, hangs or is to be renewed after it was ready; failed when
    it never got there, or dies again and again.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        settings: EngineSettings,
        socket: Path,
        log_file: Path,
        log: Log,
        planned: Mapping[str, float] | None = None,
        manner: Manner = UNKNOWN,
    ) -> None:
        models = tuple(ModelCard(model, manner=manner) for model in settings.served_as)
        super().__init__(name, Address(path=str(socket)), models, log, knows=lambda card: manner)
        self.snapshot = dataclasses.replace(self.snapshot, planned=planned or {})
        self._command, self._settings = command, settings
        self._socket, self._log_file = socket, log_file
        self._entered = self._spoke = 0.0
        self._renewal = asyncio.Event()
        self._process: Process | None = None

    def renew(self) -> None:
        self._renewal.set()

    async def run(self) -> None:
        lives: list[float] = []
        try:
            while True:
                lived_s = await self._live()
                if lived_s != RENEWED:
                    lives.append(lived_s)
                wait_s = restart.next_wait(lives, self._settings.max_restarts)
                wait_s = 0.0 if lived_s == RENEWED else wait_s
                if wait_s is None:
                    self._become(State.FAILED)
                    return
                self._become(State.STARTING, stage="wait", restarts=self.snapshot.restarts + 1)
                await asyncio.sleep(wait_s)
        finally:
            await self.probe.__aexit__()
            if self.snapshot.state is not State.FAILED:
                self._become(State.STOPPED)

    async def _live(self) -> float:
        """One life of the process. Returns the seconds it was ready; 0 when it never was, and RENEWED when
        it ended because it was asked to.
        """
        self._socket.unlink(missing_ok=True)  # vLLM does not remove a stale one: "address in use"
        self._entered = self._spoke = time.monotonic()
        self._renewal.clear()
        self._become(
            State.STARTING, stage="launch", share=None, stage_s={}, actual={}, cause="", todo=""
        )
        try:
            process = await self._spawn()
        except OSError as error:
            self._blame(f"{self._command.argv[0]} cannot be run: {error.strerror}.", [])
            return 0.0
        async with process, self._minded(process):
            return await self._lived(process)

    @asynccontextmanager
    async def _minded(self, process: Process) -> AsyncIterator[None]:
        self._process = process
        try:
            yield
        finally:
            self._process = None
            if self.snapshot.state is State.READY:
                self._become(State.DRAINING)
            elif self.snapshot.state is not State.DRAINING:
                process.hurry()  # it has nothing to finish
            self._socket.unlink(missing_ok=True)

    async def _spawn(self) -> Process:
        return await Process.spawn(
            self._command, self._log_file, self._heard, self._settings.stop_grace_s
        )

    async def _lived(self, process: Process) -> float:
        async with _Ends() as ends:
            exited = ends.add(process.wait())
            if not await self._until_ready(process, exited):
                return 0.0
            ready_at = time.monotonic()
            amiss, renewal = ends.add(self._until_amiss()), ends.add(self._renewal.wait())
            await asyncio.wait([exited, amiss, renewal], return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                self._blame(f"it exited with code {exited.result()}", list(process.tail))
            elif amiss.done():
                process.hurry(0.0)  # one that hangs does not hear; its requests wait for its end
                self._blame(self._named(amiss.result()), [])
            else:
                await self._drained(exited)
                return RENEWED
            self._become(State.STARTING, stage="wait")
            return max(time.monotonic() - ready_at, 1e-3)

    def _named(self, amiss: str) -> str:
        return amiss if self._socket.exists() else f"its socket is gone, and {amiss}"

    async def _drained(self, exited: asyncio.Task[int]) -> None:
        """Until what it works on is done, or its grace is over."""
        self._become(State.DRAINING)
        deadline = time.monotonic() + self._settings.drain_s
        while self.seen().requests and time.monotonic() < deadline and not exited.done():
            await asyncio.wait([exited], timeout=POLL_S)

    async def _until_ready(self, process: Process, exited: asyncio.Task[int]) -> bool:
        deadline = time.monotonic() + self._settings.start_timeout_s
        while (now := time.monotonic()) < deadline:
            if exited.done():
                self._blame(f"it exited with code {exited.result()}", list(process.tail))
                return False
            if self._socket.exists() and (cards := await self.probe.models()):
                ready = {"stage": "", "share": None, "stage_s": self._booked()}
                self._become(State.READY, models=self._known(cards), **ready)
                self._compare()
                return True
            if now - self._spoke > self._settings.stall_s:
                self._late(process, f"it stalled: silent for {self._settings.stall_s:.0f} s")
                return False
            await asyncio.wait([exited], timeout=POLL_S)
        self._late(process, f"it was not ready after {self._settings.start_timeout_s:.0f} s")
        return False

    def _late(self, process: Process, how: str) -> None:
        self._blame(f"{how} (stage: {self.snapshot.stage})", list(process.tail))

    def _work(self) -> float | None:
        return self._process.worked_s() if self._process else None

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

    def _blame(self, cause: str, said: list[str]) -> None:
        lines = startup.last_useful(said)
        told = "".join(f"\n    {line}" for line in lines)
        where = f"\n  Its whole log: {self._log_file}" if said else ""
        self.snapshot = dataclasses.replace(
            self.snapshot, cause=f"{cause}.{told}{where}", todo=startup.remedy(said)
        )


class _Ends:
    """Tasks of which one is waited for; the others end with the block."""

    async def __aenter__(self) -> Self:
        self._tasks: list[asyncio.Task[Any]] = []
        return self

    def add(self, what: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(what)
        self._tasks.append(task)
        return task

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

"""An engine of our own: a child process on a Unix socket in a private directory."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from seekserve.engine import restart, startup
from seekserve.engine.address import Address
from seekserve.engine.engine import POLL_S, Engine, State
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command, Process
from seekserve.log import Log
from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import EngineSettings


class Launched(Engine):
    """A child of ours. Restarted when it dies after it was ready; failed when it never got there."""

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
        self._entered = 0.0

    async def run(self) -> None:
        lives: list[float] = []
        try:
            while True:
                lives.append(await self._live())
                wait_s = restart.next_wait(lives, self._settings.max_restarts)
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
        """One life of the process. Returns the seconds it was ready; 0 when it never was."""
        self._socket.unlink(missing_ok=True)  # vLLM does not remove a stale one: "address in use"
        self._entered = time.monotonic()
        self._become(
            State.STARTING, stage="launch", share=None, stage_s={}, actual={}, cause="", todo=""
        )
        try:
            process = await self._spawn()
        except OSError as error:
            self._blame(f"{self._command.argv[0]} cannot be run: {error.strerror}.", [])
            return 0.0
        async with process:
            try:
                return await self._watch(process)
            finally:
                if self.snapshot.state is State.READY:
                    self._become(State.DRAINING)
                else:
                    process.hurry()  # it has nothing to finish
                self._socket.unlink(missing_ok=True)

    async def _spawn(self) -> Process:
        return await Process.spawn(
            self._command, self._log_file, self._heard, self._settings.stop_grace_s
        )

    async def _watch(self, process: Process) -> float:
        exited = asyncio.create_task(process.wait())
        try:
            if not await self._until_ready(process, exited):
                return 0.0
            ready_at = time.monotonic()
            code = await asyncio.shield(exited)
            self._blame(f"it exited with code {code}", list(process.tail))
            self._become(State.STARTING, stage="wait")
            return max(time.monotonic() - ready_at, 1e-3)
        finally:
            exited.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await exited

    async def _until_ready(self, process: Process, exited: asyncio.Task[int]) -> bool:
        deadline = time.monotonic() + self._settings.start_timeout_s
        while time.monotonic() < deadline:
            if exited.done():
                self._blame(f"it exited with code {exited.result()}", list(process.tail))
                return False
            if self._socket.exists() and (cards := await self.probe.models()):
                ready = {"stage": "", "share": None, "stage_s": self._booked()}
                self._become(State.READY, models=self._known(cards), **ready)
                self._compare()
                return True
            await asyncio.wait([exited], timeout=POLL_S)
        limit = self._settings.start_timeout_s
        stage = self.snapshot.stage
        self._blame(f"it was not ready after {limit:.0f} s (stage: {stage})", list(process.tail))
        return False

    def _heard(self, line: str) -> None:
        """Called with every line the engine prints; while it starts, lines tell the stage."""
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

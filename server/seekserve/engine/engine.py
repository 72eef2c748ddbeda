"""One engine's life: stopped -> starting -> ready -> draining -> stopped | failed.

`run` is the only writer of an engine's state; everybody else reads `snapshot`. A launched engine is
a child process on a Unix socket in a private directory; an attached one is somebody else's server
that we only watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from seekserve.config import EngineSettings
from seekserve.engine import restart, startup
from seekserve.engine.address import Address
from seekserve.engine.probe import UNREACHABLE, ModelCard, Probe
from seekserve.engine.process import Command, Process
from seekserve.log import Log

POLL_S = 0.25
WATCH_S = 2.0
MISSES = 3


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of an engine now. `stage_s` are seconds spent in each stage of the last start."""

    name: str
    address: Address
    models: tuple[ModelCard, ...]
    state: State = State.STOPPED
    stage: str = ""
    share: float | None = None
    since: float = 0.0
    restarts: int = 0
    stage_s: dict[str, float] = field(default_factory=dict)
    cause: str = ""
    todo: str = ""

    def __repr__(self) -> str:
        stage = f"/{self.stage}" if self.state is State.STARTING else ""
        return f"<Engine {self.name} {self.state}{stage} restarts={self.restarts} {self.address}>"


class Engine:
    """What launched and attached engines share: a snapshot, and who wants to hear of changes."""

    def __init__(
        self,
        name: str,
        address: Address,
        models: tuple[ModelCard, ...],
        log: Log,
        key: str | None = None,
    ) -> None:
        self.snapshot = Snapshot(name, address, models)
        self.probe = Probe(address, key)
        self._log = log
        self._listeners: list[Callable[[Snapshot], None]] = []

    def __repr__(self) -> str:
        return repr(self.snapshot)

    @property
    def ready(self) -> bool:
        return self.snapshot.state is State.READY

    def listen(self, listener: Callable[[Snapshot], None]) -> None:
        """`listener` is called at every change of state or stage, from the engine's own task."""
        self._listeners.append(listener)

    async def run(self) -> None:
        raise NotImplementedError

    def _become(self, state: State, **facts: object) -> None:
        before = self.snapshot
        self.snapshot = dataclasses.replace(before, state=state, since=time.monotonic(), **facts)  # type: ignore[arg-type]
        if state is not before.state:
            cause = self.snapshot.cause.partition("\n")[0] if state is not State.READY else ""
            self._log.event("engine", name=before.name, state=state.value, cause=cause or None)
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self.snapshot)


class Attached(Engine):
    """A server that already runs. Ready while it lists models; gone after MISSES failed looks."""

    async def run(self) -> None:
        self._become(State.STARTING, stage="connect")
        try:
            while True:
                await self._until_listed()
                await self._until_gone()
                self._become(State.STARTING, stage="connect", cause="it stopped answering")
        finally:
            self._become(State.STOPPED)
            await self.probe.__aexit__()

    async def _until_listed(self) -> None:
        while (cards := await self.probe.models()) is None:
            self._puzzle(self.probe.trouble)
            await asyncio.sleep(POLL_S)
        self._become(State.READY, models=cards, cause="")

    def _puzzle(self, trouble: str) -> None:
        """Says once why it is not listed. That nothing answers adds nothing to an older cause."""
        cause = self.snapshot.cause
        if trouble != cause and not (cause and trouble == UNREACHABLE):
            self._become(State.STARTING, cause=trouble)
            self._log.event("waiting", name=self.snapshot.name, cause=trouble)

    async def _until_gone(self) -> None:
        missed = 0
        while missed < MISSES:
            await asyncio.sleep(WATCH_S)
            missed = 0 if await self.probe.alive() else missed + 1


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
    ) -> None:
        models = tuple(ModelCard(model) for model in settings.served_as)
        super().__init__(name, Address(path=str(socket)), models, log)
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
        self._become(State.STARTING, stage="launch", share=None, stage_s={}, cause="", todo="")
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
                self._become(
                    State.READY, models=cards, stage="", share=None, stage_s=self._booked()
                )
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
        step = startup.read(line, self.snapshot.stage or "launch")
        if step and (step.stage, step.share) != (self.snapshot.stage, self.snapshot.share):
            self._enter(step.stage, step.share)

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

"""What a node runs for one life of the engine, from the order to its end, reported to the head."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from seekserve.engine import startup
from seekserve.engine.ends import Ends
from seekserve.engine.link import Link
from seekserve.engine.process import Command, Process, ended
from seekserve.engine.protocol import Ended, Reached, Stop
from seekserve.log import Log

SAY_S = 2.0  # between two words on how it goes
MOST = 4000


def unfit(argv: Sequence[str], entry: Sequence[str]) -> str:
    """Why an order cannot be carried out here; "" where it can. Looks for the model's folder."""
    if tuple(argv[: len(entry)]) != tuple(entry) or len(argv) == len(entry):
        return (
            f"was not started: only {' '.join(entry)} is run there, not {' '.join(argv[:4])[:200]}"
        )
    model = argv[len(entry)]
    why = _missing(model) if model.startswith("/") else ""
    return f"was not started: the model's folder {model[:1000]} {why} on that node" if why else ""


def _missing(folder: str) -> str:
    try:
        return "" if Path(folder).exists() else "is not"
    except OSError as error:  # such as one in a folder that is closed to whoever runs this
        return f"cannot be reached ({error.strerror})"


class Work:
    """`before` is the work of an earlier life: it ends first."""

    def __init__(
        self,
        epoch: int,
        link: Link,
        heard: Callable[[str], None],
        log: Log,
        before: Work | None = None,
    ) -> None:
        self._epoch, self._link, self._heard, self._log = epoch, link, heard, log
        self._before = before
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._within_s: float | None = None
        self._stage, self._spoke = "launch", time.monotonic()

    def begin(self, command: Command | str, log_file: Path, grace_s: float) -> None:
        self._task = asyncio.create_task(self._run(command, log_file, grace_s))

    def end(self, word: Stop) -> None:
        """As the head asks, if it means this one."""
        if word.epoch == self._epoch:
            self.hurry(word.within_s)
            self._cancel()

    def hurry(self, within_s: float) -> None:
        self._within_s = within_s
        if self._process:
            self._process.hurry(within_s)

    async def ended(self) -> None:
        """Ends it, and returns when nothing of it runs."""
        self._cancel()
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)

    def _cancel(self) -> None:
        if self._task and not self._task.cancelling():
            self._task.cancel()

    async def _run(self, command: Command | str, log_file: Path, grace_s: float) -> None:
        """Once its first life has ended another may begin, never sooner."""
        said = Ended(epoch=self._epoch, cause="was ended")
        try:
            if self._before:
                self._before.hurry(0.0)
                await self._before.ended()
            self._before = None
            said = await self._lived(command, log_file, grace_s)
        finally:
            self._link.say(said)
            how = said.cause or ended(said.code)
            self._heard(f"its engine {how}")
            self._log.event("engine", state="ended", epoch=self._epoch, cause=how)

    async def _lived(self, command: Command | str, log_file: Path, grace_s: float) -> Ended:
        if isinstance(command, str):
            return Ended(epoch=self._epoch, cause=command[:MOST])
        self._log.event("engine", state="starting", epoch=self._epoch)
        try:
            process = await Process.spawn(command, log_file, self._line, grace_s)
        except OSError as error:
            cause = f"could not be started: {command.argv[0]}: {error.strerror}"
            return Ended(epoch=self._epoch, cause=cause[:MOST])
        async with process:
            self._process = process
            if self._within_s is not None:
                process.hurry(self._within_s)
            async with Ends() as ends:
                ends.add(self._reports(process))
                code = await process.wait()
            said = tuple(line[:MOST] for line in startup.last_useful(list(process.tail)))
        return Ended(epoch=self._epoch, code=code, said=said, log=str(log_file)[:MOST])

    def _line(self, line: str) -> None:
        """Every line of it is a sign of life, some tell its stage."""
        self._spoke = time.monotonic()
        step = startup.read(line, self._stage)
        if step and step.stage != self._stage:
            self._stage = step.stage
            self._heard(f"engine: {self._stage}")

    async def _reports(self, process: Process) -> None:
        while True:
            await asyncio.sleep(SAY_S)
            silent_s, young_s = time.monotonic() - self._spoke, process.youngest_s()
            how = {"stage": self._stage, "silent_s": silent_s, "young_s": young_s}
            self._link.say(Reached.model_validate({"epoch": self._epoch} | how))

"""One OS process group: spawn it, keep its output, and make sure all of it ends.

Invariant: when `async with Process.spawn(...)` is left, no process of the group is alive.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from seekserve.engine.logfile import LogFile

HURRY_S = 3.0
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
TIDY_S = 3.0  # for the rest of a group whose leader has ended
MAX_LINE = 8 * 1024
TAIL_LINES = 400
PR_SET_PDEATHSIG = 1
_SECRET = re.compile(
    r"(API_?KEY|ACCESS_KEY|OPERATOR_KEY|SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS)(_ID|_FILE)?$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `env` is added to ours, less whatever is named as a secret, and less where our traces
    go: vLLM's workers would take that for theirs, by another protocol.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not (secret(k) or k.startswith("OTEL_"))}
        return ours | dict(self.env)


def secret(name: str) -> bool:
    """Whether a variable is somebody's key, by its name. The hub's is the one that an engine needs."""
    return bool(_SECRET.search(name)) and name not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def ended(code: int | None) -> str:
    """How a process ended, as the end of a sentence that begins with it."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


class Process:
    """A running group. `tail` holds the last lines it said."""

    def __init__(
        self,
        child: asyncio.subprocess.Process,
        said: asyncio.StreamReader,
        pipe: asyncio.ReadTransport,
        log: LogFile,
        on_line: Callable[[str], None],
        grace_s: float,
    ) -> None:
        self._child, self._pipe, self._log = child, pipe, log
        self._on_line, self._grace_s = on_line, grace_s
        self._patience: asyncio.Timeout | None = None
        self.tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._pump = asyncio.create_task(self._read(said))

    @classmethod
    async def spawn(
        cls, command: Command, log: Path, on_line: Callable[[str], None], grace_s: float
    ) -> Self:
        """Starts `command` in a session of its own. Raises OSError when it cannot be executed."""
        file = LogFile(log)
        # A pipe of our own: with asyncio's, wait() waits for whoever still holds the other end.
        ours, theirs = os.pipe()
        said, pipe = await _listen(ours)
        try:
            child = await asyncio.create_subprocess_exec(
                *command.argv,
                env=command.environ(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,  # Ctrl-C is ours to pass on, and one kill takes all
                preexec_fn=_die_with_parent(),
            )
        except BaseException:
            pipe.close()
            file.close()
            raise
        finally:
            os.close(theirs)
        return cls(child, said, pipe, file, on_line, grace_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.returncode

    @property
    def blameless(self) -> bool:
        """Whether its end tells nothing of what it was started with."""
        return False

    @property
    def spoke_at(self) -> float:
        """When it last said something that its lines do not tell (monotonic)."""
        return 0.0

    async def wait(self) -> int:
        """The exit code, once the leader has ended and its last words were read."""
        code = await self._child.wait()
        await self._last_words()
        return code

    def how(self, code: int) -> str:
        """Its end, in words."""
        return f"it {ended(code)}"

    def exit_of(self, code: int) -> int | None:
        """How the one exited that ended it all; None where that was no process of an engine."""
        return code

    def at(self, stage: str) -> str:
        """The stage it has reached, where only part of it is known from its lines."""
        return stage

    def hurry(self, within_s: float = HURRY_S) -> None:
        """From now on it is given so long to end, where that is less than what its grace leaves it."""
        self._grace_s = min(self._grace_s, within_s)
        until = asyncio.get_running_loop().time() + within_s
        with contextlib.suppress(RuntimeError):  # it is over
            if self._patience:
                self._patience.reschedule(min(until, self._patience.when() or until))

    def youngest_s(self) -> float | None:
        """Seconds since the last process of its session began; None off Linux (proc(5))."""
        if not (stats := self._session()):
            return None
        return time.clock_gettime(time.CLOCK_BOOTTIME) - max(int(s[19]) for s in stats) / TICKS

    def resident_gib(self) -> float | None:
        """Memory of its session; pages that several share count for each."""
        stats = self._session()
        return sum(int(stat[21]) for stat in stats) * PAGE / 2**30 if stats else None

    def _session(self) -> list[list[str]]:
        """What proc(5) says of each process of it; nothing off Linux."""
        session = str(self._child.pid)
        stats = (fields(path) for path in Path("/proc").glob("[0-9]*/stat"))
        return [stat for stat in stats if len(stat) > 21 and stat[3] == session]

    async def stop(self) -> None:
        """TERM to the leader, grace, a moment for its group to end, KILL to what is left, then reap."""
        try:
            if self._child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._child.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._grace_s) as self._patience:
                        await self._child.wait()
                    async with asyncio.timeout(TIDY_S) as self._patience:
                        await self._emptied()
        finally:  # what cuts the grace short never cuts the killing
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            await self._child.wait()
            await self._last_words()
            self._log.close()

    async def _emptied(self) -> None:
        """Returns when nobody of the group is left. The last are trackers that unlink shared memory."""
        while True:
            try:
                os.killpg(self._child.pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.02)

    async def _last_words(self) -> None:
        # A grandchild that left the group may hold the pipe open for ever: do not wait for it.
        await asyncio.wait([self._pump], timeout=1)
        self._pump.cancel()
        self._pipe.close()

    async def _read(self, said: asyncio.StreamReader) -> None:
        async for line in _lines(said, self._log):
            self.tail.append(line)
            self._on_line(line)


def fields(stat: Path) -> list[str]:
    """Of /proc/PID/stat, from the third on: the second is the program's name, and may hold anything."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


async def _listen(end: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    said = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(said)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: protocol, os.fdopen(end, "rb", 0)
    )
    return said, pipe


async def _lines(stream: asyncio.StreamReader, log: LogFile) -> AsyncIterator[str]:
    """Lines as they come, progress bars (carriage returns) included, each cut to MAX_LINE."""
    rest = b""
    while data := await stream.read(1 << 16):
        log.write(data)
        *whole, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
        rest = rest[-MAX_LINE:]
        for line in whole:
            if line.strip():
                yield line[:MAX_LINE].decode(errors="replace").rstrip()
    if rest.strip():
        yield rest.decode(errors="replace")


def _die_with_parent() -> Callable[[], None] | None:
    """Should we be killed outright, the kernel sends the engine TERM (Linux's PDEATHSIG)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

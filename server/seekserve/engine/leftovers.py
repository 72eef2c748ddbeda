"""What servers that were killed outright left on this machine: run directories, and engines not gone yet."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

RUN_PREFIX = "seekserve-"
LONGEST_END_S, STEP_S = 10.0, 0.05


def run_dir() -> Path:
    """A private one of this process'."""
    return Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-"))  # mkdtemp makes it 0700


def sweep() -> None:
    """Run directories whose server is gone are removed by the next one to start. The kernel has asked the
    engines of it to end; where that takes long, they still hold memory and ports that the next one needs, so
    they are killed and waited for.
    """
    left = [path for path in Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*-*") if _left(path)]
    _until_ended([pid for path in left for pid in _killed(path)])
    for path in left:
        shutil.rmtree(path, ignore_errors=True)  # another server may be sweeping too


def _left(path: Path) -> bool:
    """Whether it is ours to remove."""
    pid = path.name.removeprefix(RUN_PREFIX).split("-")[0]
    if not pid.isdigit() or Path(f"/proc/{pid}").exists():
        return False
    with contextlib.suppress(OSError):
        return path.stat().st_uid == os.getuid()
    return False


def _killed(path: Path) -> Iterator[int]:
    for pid in _working_in(path):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            yield pid


def _until_ended(pids: list[int]) -> None:
    """Or until it has taken too long: what they hold is then for the planner to tell."""
    deadline = time.monotonic() + LONGEST_END_S
    while any(map(_runs, pids)) and time.monotonic() < deadline:
        time.sleep(STEP_S)


def _runs(pid: int) -> bool:
    """One that nobody has reaped still holds memory while a thread of it ends (proc(5))."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        return state != b"Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    return False


def _working_in(path: Path) -> Iterator[int]:
    """The processes that were started with that directory as theirs (proc(5)); none off Linux."""
    sign = b"VLLM_RPC_BASE_PATH=%s\0" % os.fsencode(path)
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in environ.read_bytes():
                yield int(environ.parent.name)

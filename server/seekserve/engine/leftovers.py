"""What servers that were killed outright left on this machine: run directories, and engines not gone yet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from seekserve.engine.process import fields

RUN_PREFIX, LOCK = "seekserve-", "server.lock"
FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
LONGEST_END_S, STEP_S = 10.0, 0.05


def run_dir() -> Path:
    """A private one of this process', which holds the lock in it for as long as it lives. The file has its
    name once it is locked, so that no sweep finds it free before.
    """
    path = Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-"))  # mkdtemp makes it 0700
    with contextlib.suppress(OSError):  # where files cannot be locked, its pid must do
        new = path / f"{LOCK}.new"
        fcntl.flock(os.open(new, FLAGS | os.O_CREAT, 0o600), fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(path / LOCK)
    return path


def sweep() -> None:
    """Run directories whose server is gone are removed by the next one to start. The kernel has asked the
    engines of it to end; where that takes long, they still hold memory and ports that the next one needs, so
    they are killed and waited for.
    """
    paths = Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*-*")
    with contextlib.ExitStack() as held:
        left = [path for path in paths if _left(path, held)]
        _until_ended([pid for path in left for pid in _killed(path)])
        for path in left:
            shutil.rmtree(path, ignore_errors=True)  # another server may be sweeping too


def _left(path: Path, held: contextlib.ExitStack) -> bool:
    """Whether it is ours to remove. One of an older version has no lock, and is judged by its pid."""
    pid = path.name.removeprefix(RUN_PREFIX).split("-")[0]
    with contextlib.suppress(OSError):
        if not pid.isdigit() or path.stat().st_uid != os.getuid():
            return False
        if not (path / LOCK).exists():
            return not Path(f"/proc/{pid}").exists()
        lock = os.open(path / LOCK, FLAGS)
        held.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
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
        stat = fields(Path(f"/proc/{pid}/stat"))
        return bool(stat) and (stat[0] != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1)
    return False


def _working_in(path: Path) -> Iterator[int]:
    """The processes that were started with that directory as theirs (proc(5)); none off Linux."""
    sign = b"VLLM_RPC_BASE_PATH=%s\0" % os.fsencode(path)
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in environ.read_bytes():
                yield int(environ.parent.name)

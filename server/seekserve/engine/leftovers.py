"""What servers that were killed outright left on this machine: run directories, and engines not gone yet."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

RUN_PREFIX = "seekserve-"


def run_dir() -> Path:
    """A private one of this process'."""
    return Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-"))  # mkdtemp makes it 0700


def sweep() -> None:
    """Run directories whose server is gone are removed by the next one to start. The kernel has asked the
    engines of it to end; where that takes long, they still hold memory and ports that the next one needs.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*-*"):
        pid = path.name.removeprefix(RUN_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):  # another server may be sweeping too
                if path.stat().st_uid == os.getuid():
                    _end(path)
                    shutil.rmtree(path)


def _end(path: Path) -> None:
    for pid in _working_in(path):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _working_in(path: Path) -> Iterator[int]:
    """The processes that were started with that directory as theirs (proc(5)); none off Linux."""
    sign = b"VLLM_RPC_BASE_PATH=%s\0" % os.fsencode(path)
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in environ.read_bytes():
                yield int(environ.parent.name)

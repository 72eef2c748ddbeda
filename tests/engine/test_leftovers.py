"""What a server that was killed outright left is gone before the next one looks at what is free."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from seekserve import serving
from seekserve.config import load
from seekserve.engine import leftovers
from seekserve.errors import StartError
from seekserve.plan.command import own
from seekserve.screen import Screen
from tests.support import alive

HOLDS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
much = bytearray(256 << 20)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@contextmanager
def engine_in(path: Path) -> Iterator[int]:
    """The pid of what looks like an engine of the server whose run directory that is."""
    path.mkdir(exist_ok=True)
    words = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(words, env=os.environ | own(path), stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout and child.stdout.readline() == b"up\n"
            yield child.pid
        finally:
            child.kill()


def gone() -> int:
    """The pid of a process that was."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_sweep_waits_for_the_memory_that_was_held(tmp_path: Path) -> None:
    left = tmp_path / f"seekserve-{gone()}-x"
    with engine_in(left) as pid:
        leftovers.sweep()
        assert not alive(pid) and not left.exists()


def test_one_whose_server_has_our_pid_or_is_not_reaped_is_left_all_the_same() -> None:
    """As in a container that was started again: its lock tells that it is gone."""
    words = "from seekserve.engine import leftovers; print(leftovers.run_dir())"
    env = os.environ | {"TMPDIR": tempfile.gettempdir()}
    child = [sys.executable, "-c", words]
    theirs = Path(
        subprocess.run(child, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    )
    left = theirs.rename(theirs.parent / f"seekserve-{os.getpid()}-x")
    mine = leftovers.run_dir().rename(theirs.parent / f"seekserve-{gone()}-x")
    with engine_in(left) as pid, engine_in(mine) as other:
        leftovers.sweep()
        assert not alive(pid) and not left.exists()
        assert alive(other) and mine.exists(), "of a server that holds its lock"


class Witness(io.StringIO):
    """Notes with all that is printed whether `pid` was alive then."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid
        self.seen: set[bool] = set()

    def write(self, words: str) -> int:
        self.seen.add(alive(self.pid))
        return super().write(words)


def test_a_start_sweeps_before_it_plans(tmp_path: Path) -> None:
    """Or the planner takes what a dead server's engine still holds for somebody else's."""
    nowhere = tmp_path / "no" / "folder"  # so that it goes no further than its plan
    with engine_in(tmp_path / f"seekserve-{gone()}-x") as pid:
        page = Witness(pid)
        screen = Screen(Console(file=page, width=100))
        with pytest.raises(StartError):
            serving.run(lambda: load("consumer", listen={"port": 0}, state_dir=nowhere), screen)
        assert True not in page.seen and not alive(pid)

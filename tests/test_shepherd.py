"""The first process of a container: in a PID namespace of its own, with a server as its child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PATIENCE_S, alive, fake_engine, until

APART = ("unshare", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL")


def first(*words: str) -> list[str]:
    return [*APART, sys.executable, *words]


CAN = subprocess.run(first("-c", ""), capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not CAN, reason="needs namespaces of its own")


@contextmanager
def container(begun: str, *words: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """It, once it has said that it has `begun`, and the pid of its first process as seen from here."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(first(*words), env=os.environ | env, text=True, **pipes) as outer:  # type: ignore[call-overload]
        try:
            assert outer.stdout
            while begun not in (line := outer.stdout.readline()):
                assert line, "it ended"
            (pid,) = _children(outer.pid)
            yield outer, pid
        finally:
            outer.kill()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def shepherded(body: str) -> tuple[str, str]:
    return "-c", f"from seekserve.shepherd import watch_over\n{body}\nwatch_over(run)"


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(3)", 3), ("pass", 0), ("os.kill(os.getpid(), 9)", 137), ("1 / 0", 1)],
)
def test_it_ends_as_its_child_does(end: str, code: int) -> None:
    words = first(*shepherded(f"import os, sys\ndef run(): {end}"))
    assert subprocess.run(words, capture_output=True, timeout=60).returncode == code


async def test_signals_are_passed_on_and_orphans_reaped() -> None:
    """The orphan is a grandchild whose parent ends at once, as an engine's worker is."""
    body = (
        "import os, signal, sys, time\n"
        "def run():\n"
        "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "    for _ in range(3):\n"
        "        if not os.fork(): os.fork() or time.sleep(0.3); os._exit(0)\n"
        "    [os.wait() for _ in range(3)]\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(600)"
    )
    with container("begun", *shepherded(body)) as (outer, pid):
        await until(lambda: len(_children(pid)) == 1, "the orphans to be reaped")
        os.kill(pid, signal.SIGTERM)
        assert outer.wait(PATIENCE_S) == 7


def test_a_server_as_first_process_stops_on_the_stop_signal(tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        serve = ["-m", "seekserve", "serve", "--engine", engine.url, "--port", "0"]
        state = {"SEEKSERVE_STATE_DIR": str(tmp_path)}
        with container("is ready", *serve, **state) as (outer, pid):
            (server,) = _children(pid)
            os.kill(pid, signal.SIGTERM)
            assert outer.wait(PATIENCE_S) == 0
            assert not alive(server)

"""A server as a user starts it: `seekserve serve` in a process of its own, before a fake engine."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import PATIENCE_S, FakeEngine, free_port, without_proxies


@contextmanager
def served(
    engine: FakeEngine, folder: Path, *more: str, **variables: str
) -> Iterator[tuple[int, Path]]:
    """With --ops on a port of this machine, which is yielded with the file of what it prints.

    `more` are options; `variables` are added to its environment: `SEEKSERVE_API_KEY="..."`.
    """
    port, output = free_port(), folder / "output.txt"
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(folder)} | variables
    words = ["serve", "--engine", engine.url, "--port", "0", "--ops", f"127.0.0.1:{port}", *more]
    with output.open("wb") as sink:
        child = [sys.executable, "-m", "seekserve", *words]
        process = subprocess.Popen(child, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield port, output
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()

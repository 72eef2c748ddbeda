"""A real terminal for the tests: a window of a tmux server of their own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PATIENCE_S, without_proxies

SESSION = "w"
needs_tmux = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


class Window:
    """What runs in it prints the terminal's settings before and after, and `ended` with its exit code."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *words: str) -> str:
        told = ["tmux", "-u", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(told, check=True, capture_output=True, text=True, timeout=20).stdout

    def screen(self, styled: bool = False) -> str:
        """What it shows; with its escape sequences, where these are looked at."""
        return self.tmux("capture-pane", "-p", *(["-e"] if styled else []))

    def type(self, text: str, *keys: str) -> None:
        if text:
            self.tmux("send-keys", "-l", text)
        if keys:
            self.tmux("send-keys", *keys)

    def ask(self, text: str) -> None:
        self.type(text, "Enter")

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def shows(self, *texts: str) -> str:
        """Waits until all of them are there."""
        return self.until(lambda page: all(text in page for text in texts), repr(texts))

    def until(self, holds: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not holds(page := self.screen()):
            assert time.monotonic() < deadline, f"no {what} in:\n{page}"
            time.sleep(0.03)
        return page

    def settings(self) -> list[str]:
        """Of the terminal, before and after."""
        return [line for line in self.screen().splitlines() if line.startswith("stty ")]


@contextmanager
def window(*words: str, columns: int = 90, rows: int = 30, **variables: str) -> Iterator[Window]:
    """Runs `seekserve` with these words."""
    program = shlex.join([sys.executable, "-m", "seekserve", *words])
    looked = "echo stty $(stty -g | md5sum)"
    script = f"trap : INT; {looked}; {program}; echo ended $?; {looked}; exec cat"
    env = without_proxies() | {"LC_ALL": "C.UTF-8", "PYTHONPATH": ":".join(sys.path)} | variables
    env = {name: value for name, value in env.items() if name not in ("TMUX", "NO_COLOR")}
    with tempfile.TemporaryDirectory(prefix="tmux-") as folder:
        made = Window(Path(folder) / "s")
        told = ["tmux", "-u", "-S", str(made._socket), "-f", "/dev/null", "new-session", "-d"]
        told += ["-s", SESSION, "-x", str(columns), "-y", str(rows), "sh", "-c", script]
        subprocess.run(told, check=True, env=env, timeout=20)
        try:
            yield made
        finally:
            made.tmux("kill-server")


def mode(path: Path) -> int:
    return os.stat(path).st_mode & 0o777

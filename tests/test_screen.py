"""What an attached engine calls its models is shown by the banner, and obeyed by nothing."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from seekserve.engine.address import Address
from seekserve.engine.engine import NODES, Snapshot, State
from seekserve.errors import ConfigError
from seekserve.screen import Patient, Screen, curl, python
from tests.support import KEY, FakeEngine, config, free_port, until, without_proxies

EVIL = "a\x1b]52;c;QQ==\x07\u202e'; touch /tmp/x; '\""


def test_a_terminal_obeys_no_models_name_and_no_failures_words() -> None:
    page = io.StringIO()
    screen = Screen(Console(file=page, width=200))
    screen.banner(config("unix:/x"), 8000, [EVIL])
    screen.failure(ConfigError(EVIL, EVIL))
    told = page.getvalue()
    assert "touch" in told and not set(told) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(("host", "all_of_them"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_the_banner_says_where_others_reach_it(host: str, all_of_them: bool) -> None:
    page = io.StringIO()
    settings = config("unix:/x", key=KEY, listen={"host": host})
    Screen(Console(file=page, width=200)).banner(settings, 8000, ["m"])
    told = page.getvalue()
    assert "http://127.0.0.1:8000/v1" in told
    assert ("every other address of this machine" in told) is all_of_them


@pytest.mark.parametrize("host", ["fd12:3456::1", "fd12::ab:cd:1"])
@pytest.mark.parametrize("terminal", [True, False])
def test_an_ipv6_address_is_no_markup(host: str, terminal: bool) -> None:
    page = io.StringIO()
    screen = Screen(Console(file=page, width=200, force_terminal=terminal, color_system=None))
    there = Snapshot("engine-0", Address(path="/x"), (), State.STARTING, stage=NODES, nodes=2)
    with screen.progress():
        screen.heard(replace(there, where=f"[{host}]:29540"))
        screen.said(f"joined [{host}]:29541")
    screen.banner(config("unix:/x", key=KEY, listen={"host": host}), 8000, ["m"])
    told = page.getvalue()
    for where in (f"waiting at [{host}]:29540", f"joined [{host}]:29541"):
        assert where in told
    panel = told[told.index("seekserve is ready") : told.index("curl")]
    assert f"http://[{host}]:8000/v1 " in panel


def test_what_is_pasted_is_one_call_whatever_the_model_is_called() -> None:
    settings = config("unix:/x")
    words = shlex.split(curl(settings, "http://x/v1", EVIL))
    assert words[-2] == "-d" and json.loads(words[-1])["model"] == EVIL
    assert repr(EVIL) in python(settings, "http://x/v1", EVIL)


class Lost(io.StringIO):
    """A terminal, or a pipe, that may go while it is written to."""

    gone: OSError | None = None

    def write(self, words: str) -> int:
        if self.gone:
            raise self.gone
        return super().write(words)


TERMINAL: dict[str, Any] = {"force_terminal": True, "width": 80, "_environ": {"TERM": "xterm"}}
STARTS = Snapshot("engine-0", Address(path="/x"), (), State.STARTING, "launch")


def test_a_terminal_that_is_lost_ends_nothing() -> None:
    page, gone = Lost(), OSError(errno.EIO, "Input/output error")
    screen = Screen(Patient(file=page, **TERMINAL))
    with screen.progress():
        page.gone = gone
        screen.heard(STARTS)
    page.gone = None
    screen.draining(2, 2.0)
    page.gone = gone
    screen.draining(1, 1.0)
    screen.stopped()
    screen.failure(ConfigError("x", "y"))


def test_a_terminal_that_is_lost_before_anything_is_shown_ends_nothing() -> None:
    page = Lost()
    page.gone = OSError(errno.EIO, "Input/output error")
    screen = Screen(Patient(file=page, **TERMINAL))
    with screen.progress():
        screen.heard(STARTS)
    screen.draining(2, 2.0)
    screen.stopped()


async def test_the_server_outlives_whoever_reads_what_it_prints(
    mortal: FakeEngine, tmp_path: Path
) -> None:
    """The next line it prints says that the engine is gone, from the engine's own task."""
    port = free_port()
    words = [sys.executable, "-m", "seekserve", "serve", "--engine", mortal.url]
    words += ["--port", str(port)]
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(tmp_path)}
    nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
    process = subprocess.Popen(words, env=env, stdout=nowhere, stderr=pipe)  # noqa: ASYNC220
    try:
        assert process.stderr
        while b"Ctrl-C stops" not in await asyncio.to_thread(process.stderr.readline):
            assert process.poll() is None
        process.stderr.close()
        mortal.process.kill()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def missed() -> bool:
                return (await client.get("/health/ready")).status_code == 503

            await until(missed, "the engine to be missed")
            await asyncio.sleep(0.5)
            assert (await client.get("/health/live")).status_code == 200
        process.terminate()
        await until(lambda: process.poll() is not None, "the program to end")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()

"""What an attached engine calls its models is shown by the banner, and obeyed by nothing."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace

import pytest
from rich.console import Console

from seekserve.engine.address import Address
from seekserve.engine.engine import NODES, Snapshot, State
from seekserve.errors import ConfigError
from seekserve.screen import Screen, curl, python
from tests.support import KEY, config

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

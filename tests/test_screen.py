"""What an attached engine calls its models is shown by the banner, and obeyed by nothing."""

from __future__ import annotations

import io
import json
import shlex

from rich.console import Console

from seekserve.errors import ConfigError
from seekserve.screen import Screen, curl, python
from tests.support import config

EVIL = "a\x1b]52;c;QQ==\x07\u202e'; touch /tmp/x; '\""


def test_a_terminal_obeys_no_models_name_and_no_failures_words() -> None:
    page = io.StringIO()
    screen = Screen(Console(file=page, width=200))
    screen.banner(config("unix:/x"), 8000, [EVIL])
    screen.failure(ConfigError(EVIL, EVIL))
    told = page.getvalue()
    assert "touch" in told and not set(told) & {"\x1b", "\x07", "\u202e"}


def test_what_is_pasted_is_one_call_whatever_the_model_is_called() -> None:
    settings = config("unix:/x")
    words = shlex.split(curl(settings, "http://x/v1", EVIL))
    assert words[-2] == "-d" and json.loads(words[-1])["model"] == EVIL
    assert repr(EVIL) in python(settings, "http://x/v1", EVIL)

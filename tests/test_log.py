"""One event, one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from seekserve.log import Log

NASTY = 'two\nlines "quoted" \x1b[31mred wörd'


def one(form: Literal["text", "json"], **facts: str | float | bool | None) -> str:
    lines: list[str] = []
    Log(form, lines.append).event("request", **facts)
    (line,) = lines
    return line


def test_text_is_short_and_leaves_out_what_is_not_known() -> None:
    line = one("text", status=200, first_s=0.123456789, model=None, path="/v1/models")
    assert line.split(" ")[1:] == ["request", "status=200", "first_s=0.1235", "path=/v1/models"]


def test_text_counts_whole() -> None:
    assert "planned=116508 actual=9999 free=0.5" in one(
        "text", planned=116508.0, actual=9999.0, free=0.5
    )


def test_json_is_json() -> None:
    told = json.loads(one("json", status=200, model=None, words=NASTY))
    assert (told["event"], told["status"], told["words"]) == ("request", 200, NASTY)
    assert "model" not in told
    assert told["time"].endswith("Z")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    """Of the log, and of what a person is shown."""
    says = (
        "from rich.console import Console; from seekserve.log import Log; "
        "from seekserve.screen import Screen; "
        "[Log().event('x', n=n) for n in range(3)]; Screen(Console(stderr=True)).stopping(False); "
        "print('still here')"
    )
    with open("/dev/full", "w") as full:
        ran = subprocess.run([sys.executable, "-c", says], stdout=subprocess.PIPE, stderr=full)
    assert ran.stdout == b"still here\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_breaks_the_line_or_the_terminal(form: Literal["text", "json"]) -> None:
    line = one(form, words=NASTY)
    assert line.isprintable() or form == "json"
    assert "\n" not in line
    assert "\x1b" not in line
    line.encode()

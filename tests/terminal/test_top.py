"""`seekserve top` and `seekserve console`, before a real server that comes, works and goes."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import fake_engine, free_port
from tests.terminal.server import address, seekserve, serving, streams
from tests.terminal.window import Window, mode, needs_tmux, window

SLOW = "fault:slow tokens=4000 interval=0.02"


@needs_tmux
def test_top_follows_a_server_through_its_day(tmp_path: Path) -> None:
    """Its engine comes up, works, and is stopped with it; the next server is found by itself."""
    engine = f"unix:{tmp_path / 'engine.sock'}"
    with ExitStack() as later, ExitStack() as first:
        first.enter_context(serving(engine, tmp_path))
        at = later.enter_context(window("top", SEEKSERVE_STATE_DIR=str(tmp_path), COLUMNS="80"))
        at.shows("starting", "waiting for the engine to answer", "small", "q ends")
        later.enter_context(fake_engine(tmp_path, "--kv", "0.42"))
        at.shows("ready", "42%", "█████░░░░░░░")
        works(at, tmp_path)
        first.close()
        at.shows("Nothing answers at ops.sock", "asking again in")
        later.enter_context(serving(engine, tmp_path))
        at.until(lambda page: "Nothing answers" not in page and "42%" in page, "the next server")
        at.resize(44, 20)
        at.until(
            lambda page: "tokens out" in page and len(max(page.split("\n"), key=len)) <= 44, "40"
        )
        at.type("", "q")
        at.shows("ended 0")
        assert "tokens out" not in at.screen() and len(set(at.settings())) == 1
        assert at.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip() == "0 1"


def works(at: Window, folder: Path) -> None:
    """One answer runs and two wait for it; what is printed once says the same."""
    with streams(address(folder), 3, SLOW):
        page = at.shows("1 running", "2 waiting", "first token")
        at.until(lambda page: bool(re.search(r"tokens out +[\d,.]+/s .*[▁-█]", page)), "a spark")
        assert re.search(r"public +30% +100% +2", page), page
        once = seekserve(folder, "top", "--once")
    assert once.returncode == 0 and once.stderr == "" and "\x1b" not in once.stdout
    assert "ready" in once.stdout and "2 waiting" in once.stdout and "42%" in once.stdout


def test_an_operators_key_opens_it_from_elsewhere(tmp_path: Path) -> None:
    added = seekserve(tmp_path, "keys", "add", "ann", "--scope", "operator")
    found = re.search(r"sk-\S+", added.stdout)
    assert found, added
    file = tmp_path / "key"
    file.write_text(found[0])
    with fake_engine(tmp_path) as engine, serving(engine.url, tmp_path):
        url = address(tmp_path)
        without = seekserve(tmp_path, "top", "--once", url)
        assert without.returncode == 1 and "--key-file" in without.stdout
        nobody = f"http://127.0.0.1:{free_port()}"
        both = seekserve(tmp_path, "top", url, nobody, "--key-file", str(file))
        assert both.returncode == 1 and f"Nothing answers at {nobody}" in both.stdout
        assert re.search(r"engine-0 +ready", both.stdout)
        mine = seekserve(tmp_path, "top", url, SEEKSERVE_OPERATOR_KEY=found[0])
        assert mine.returncode == 0, mine.stdout
        linked(tmp_path, url)


def linked(folder: Path, url: str) -> None:
    """What a browser is started with is no secret: the link is in a file."""
    told = folder / "told"
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    browser.chmod(0o700)
    printed = seekserve(folder, "console", "--no-open", DISPLAY=":9", BROWSER=str(browser)).stdout
    assert re.fullmatch(rf"{url}/console#pass=[\w-]{{43}}\n", printed) and not told.exists()
    again = seekserve(folder, "console", DISPLAY=":9", BROWSER=f"{browser} %s")
    leaf = folder / "console.html"
    assert again.stdout == printed and told.read_text().strip() == leaf.as_uri()
    assert mode(leaf) == 0o600 and printed.strip() in leaf.read_text()


@pytest.mark.parametrize("verb", ["top", "console"])
def test_no_server_is_said(tmp_path: Path, verb: str) -> None:
    said = seekserve(tmp_path, verb)
    assert said.returncode == 2 and "No server runs with the state folder" in said.stderr

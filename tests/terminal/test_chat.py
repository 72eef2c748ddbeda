"""`seekserve chat` as a person uses it: in a terminal, before a real server and a fake engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import served
from tests.support import PATIENCE_S, FakeEngine, fake_engine, free_port, without_proxies
from tests.terminal.server import wait
from tests.terminal.window import Window, mode, needs_tmux, window

pytestmark = pytest.mark.xdist_group("chat")  # one server for all of them
PAUSED = "fault:pause wait=2"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(scope="module")
def url(engine: FakeEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(engine, tmp_path_factory.mktemp("state")) as (_, output):
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"(http://[\d.:]+)/v1 .*fake", output.read_text())):
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.02)
        yield found[1]


@contextmanager
def chatting(url: str, folder: Path, *words: str) -> Iterator[Window]:
    with window("chat", url, *words, SEEKSERVE_STATE_DIR=str(folder)) as at:
        at.shows("fake at http://", "Ctrl-D ends")
        yield at


def rests(engine: FakeEngine) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while engine.running:
        assert time.monotonic() < deadline, "the engine still makes tokens for somebody who left"
        time.sleep(0.02)


@needs_tmux
def test_an_answer_streams_and_its_thinking_folds(url: str, tmp_path: Path) -> None:
    with chatting(url, tmp_path) as at:
        at.ask(PAUSED)
        at.shows("thinking ", " w0 w1")
        styled = at.screen(styled=True)
        assert re.search(r"\x1b\[2m[^\x1b]* w0 w1[^\x1b]*thinking", styled), styled
        page = at.shows(
            " w3 w4 w5", "thought for", "first token", "12 in (8 cached)", "6 out (3 thinking)"
        )
        assert " w0 w1" not in page and "thinking 1" not in page
        assert "\x1b[2mthought for" in at.screen(styled=True)
        at.ask("/thoughts")
        at.shows(" w0 w1 w2")


@needs_tmux
def test_a_stop_stops_the_answer_alone(url: str, engine: FakeEngine, tmp_path: Path) -> None:
    with chatting(url, tmp_path) as at:
        before = at.settings()
        at.ask("fault:slow tokens=4000 interval=0.05")
        at.shows("thinking ", " w3")
        at.type("", "C-c")
        page = at.shows("stopped")
        rests(engine)
        assert page.rstrip().endswith("\n>") and "Traceback" not in page
        at.ask("hello")
        at.shows(" w3 w4 w5")
        at.type("half a question", "C-c")
        at.shows("Ctrl-D ends.")
        at.type("", "C-d")
        at.shows("ended 0")
        at.until(lambda _: at.settings() == [*before, *before], "the terminal as it was")


@needs_tmux
def test_commands_shape_the_request(url: str, engine: FakeEngine, tmp_path: Path) -> None:
    saved = tmp_path / "turns.json"
    with chatting(url, tmp_path) as at:
        for line in ("/system Be brief.", "/think off", "/temp 0.5", "/max 7", "/stop END"):
            at.ask(line)
        at.ask("/effort extreme")
        at.shows("stop: 'END'", "/effort takes one of")
        at.ask("one \\")
        at.ask("two")
        at.shows(" w3 w4 w5", "first token")
        asked = engine.asked
        said = {"role": "user", "content": "one \ntwo"}
        assert asked["messages"] == [{"role": "system", "content": "Be brief."}, said]
        assert (asked["temperature"], asked["max_tokens"], asked["stop"]) == (0.5, 7, ["END"])
        assert asked["chat_template_kwargs"]["thinking"] is False
        at.ask(f"/save {saved}")
        at.shows("2 messages are in")
        assert mode(saved) == 0o600
        assert [turn["role"] for turn in json.loads(saved.read_text())] == [
            "system",
            "user",
            "assistant",
        ]
        at.ask("/clear")
        at.ask(f"/load {saved}")
        at.shows("2 messages; the last: w3")
        at.ask("/retry")
        at.shows("Nothing has been asked yet.")
        at.ask("/usage")
        at.shows("1 question · 12 in · 8 cached · 6 out · 3 thinking")
        at.ask("/nothing")
        at.shows("There is no /nothing.")


@needs_tmux
def test_what_a_model_says_is_shown_and_not_obeyed(url: str, tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x1b[H[bold red]\u202egnp.exe\x9b31m"
    deltas = [{"reasoning": hostile}, {"content": hostile[:3]}, {"content": hostile[3:]}]
    script = json.dumps({"deltas": deltas, "finish": "stop"})
    with chatting(url, tmp_path) as at:
        title = at.tmux("display-message", "-p", "#{pane_title}")
        for line in ('"""fault:script', script, '"""'):
            at.ask(line)
        at.shows("␛]0;owned␇␛[2J␛[H[bold red]\\u202egnp.exe\\x9b31m", "first token", "fake at http")
        at.ask("/thoughts")
        at.until(lambda page: page.count("␛]0;owned␇␛[2J") == 2, "the thought, inert")
        assert at.tmux("display-message", "-p", "#{pane_title}") == title


@needs_tmux
def test_a_window_that_changes_its_size(url: str, tmp_path: Path) -> None:
    with chatting(url, tmp_path) as at:
        at.ask("fault:slow tokens=80 interval=0.04")
        at.shows("thinking ", " w14 w15")
        at.resize(40, 20)
        at.until(lambda page: " w25" in page or " w41" in page, "more of it")
        at.resize(90, 30)
        page = at.shows(" w78 w79", "first token")
        assert (
            page.count("thought for") == 1 and "thinking 1" not in page and " w24 w25" not in page
        )
        assert page.count("fault:slow") == 1


@needs_tmux
def test_the_history_is_for_its_user_alone(url: str, tmp_path: Path) -> None:
    kept = tmp_path / "chat_history"
    with chatting(url, tmp_path) as at:
        at.ask("first question")
        at.shows("first token")
    assert mode(kept) == 0o600 and kept.read_text() == '"first question"\n'
    with chatting(url, tmp_path, "--no-history") as at:
        at.ask("second question")
        at.shows("first token")
        at.type("", "Up")
        at.until(lambda page: page.count("second question") == 2, "the last question again")
    assert "second" not in kept.read_text()


@needs_tmux
def test_what_goes_wrong_is_said_in_the_servers_words(url: str, tmp_path: Path) -> None:
    with chatting(url, tmp_path) as at:
        at.ask("/model nothing-like-it")
        at.shows("  fake", "* nothing-like-it, which the server does not list")
        at.ask("hello")
        at.shows("nothing-like-it", "Known: fake")
        at.ask("/model fake")
        at.shows("* fake")
        at.ask("fault:error_event")
        at.shows("The engine reported an error mid-answer: the step failed", "/retry")
        at.ask("fault:tools calls=1")
        page = at.shows('calls f0({"n": 0, "say": "a \\"b\\"\\n"})')
        assert "Traceback" not in page


def asked(*words: str, said: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    child = [sys.executable, "-m", "seekserve", "chat", *words]
    env = without_proxies() | variables
    return subprocess.run(
        child, input=said, env=env, capture_output=True, text=True, timeout=PATIENCE_S * 2
    )


def test_the_server_of_the_state_folder_is_asked(engine: FakeEngine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as (_, output):
        wait(lambda: "seekserve is ready" in output.read_text(), "the banner")
        said = asked("-q", "hello", SEEKSERVE_STATE_DIR=str(tmp_path))
    assert (said.returncode, said.stdout, said.stderr) == (0, " w3 w4 w5\n", "")


def test_one_question_prints_its_answer_alone(url: str, tmp_path: Path) -> None:
    by_word = asked(url, "-q", "hello")
    assert (by_word.returncode, by_word.stdout, by_word.stderr) == (0, " w3 w4 w5\n", "")
    piped = asked(url, said="hello\n")
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, " w3 w4 w5\n", "")
    broken = asked(url, "-q", "fault:drop_mid_stream after=5")
    assert broken.returncode == 1 and "Traceback" not in broken.stderr
    nobody = asked(f"http://127.0.0.1:{free_port()}", "-q", "hello")
    assert nobody.returncode == 1 and "Connection refused" in nobody.stderr
    unsaid = asked(url)
    assert unsaid.returncode == 2 and "Nothing was asked" in unsaid.stderr
    wrong = asked("ftp://here", "-q", "hello", SEEKSERVE_API_KEY="sk-secret")
    assert wrong.returncode == 2 and "sk-secret" not in wrong.stderr + wrong.stdout

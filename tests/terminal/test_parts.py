"""The terminal's pure parts: what is typed, what streams in, what is drawn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from seekserve.errors import ConfigError
from seekserve.terminal import figures, turns, wishes
from seekserve.terminal.answer import Answer, Counts, Piece
from seekserve.terminal.asking import refusal, site
from seekserve.terminal.events import MOST_BYTES, Event, Split, TooLong
from seekserve.terminal.inert import inert, line
from seekserve.terminal.lines import question
from seekserve.terminal.panels import board
from seekserve.terminal.seen import KEPT, Seen
from seekserve.terminal.turns import Turns
from seekserve.terminal.wishes import Unfit, Wishes


def test_what_would_be_obeyed_is_shown() -> None:
    assert inert("a\x1b[31mb\x07\r\x7f\x9b") == "a␛[31mb␇␍␡\\x9b"
    assert inert("\u202egnp.exe\u2066\u200b\ufeff") == "\\u202egnp.exe\\u2066\\u200b\\ufeff"
    assert inert("\ud800 \u2028 \U000e0041") == "\\ud800 \\u2028 \\U000e0041"
    assert inert("naïve 深 👩\u200d💻\n\tx [bold]") == "naïve 深 👩\u200d💻\n\tx [bold]"
    assert line("a\n  b\tc\x1b", 80) == "a b c␛"
    assert line("x" * 300) == "x" * 199 + "…"


def test_sparks_have_as_many_cells_as_they_are_given() -> None:
    assert figures.spark([], 5) == "     "
    assert figures.spark([0, 0, 0, 0], 4, span=4) == "▁▁▁▁"
    assert figures.spark([0, 2, 4, 8], 4, span=4) == "▁▃▅█"
    assert figures.spark([8], 4, span=4) == "   █"
    assert figures.spark([None, 8], 4, span=4) == "   █"
    assert figures.spark(list(range(900)), 10)[-1] == "█"
    assert all(len(figures.spark([1.0] * 900, width)) == width for width in (0, 1, 7, 299, 500))


def test_bars_and_numbers_say_what_is_not_known() -> None:
    assert figures.bar(None, 4) == "░░░░" and figures.bar(0, 4) == "░░░░"
    assert figures.bar(0.001, 4) == "█░░░" and figures.bar(0.999, 4) == "███░"
    assert figures.bar(7, 4) == "████"
    assert [figures.rate(value) for value in (None, 0, 0.25, 1234.5)] == ["–", "0", "0.2", "1,234"]
    assert [figures.span(value) for value in (None, 0.21, 2.5, 90, 4000, 400_000)] == [
        "–",
        "210 ms",
        "2.5 s",
        "1 min",
        "1 h 06",
        "4 d",
    ]
    assert figures.number(True) is None and figures.number("7") is None
    assert figures.number(float("nan")) is None and figures.number(7) == 7


def test_a_command_is_one_of_those_there_are() -> None:
    assert wishes.parsed("what is /tmp?") is None
    assert wishes.parsed(" /tmp is full") is None
    assert wishes.parsed("/save  my file ") == ("save", "my file")
    with pytest.raises(Unfit, match="no /tmp"):
        wishes.parsed("/tmp is full")


@pytest.mark.parametrize(
    ("name", "rest", "added"),
    [
        ("think", "off", {"thinking": {"type": "disabled"}}),
        ("think", "default", {}),
        ("effort", "low", {"reasoning_effort": "low"}),
        ("temp", "0", {"temperature": 0.0}),
        ("temp", "default", {}),
        ("max", "12", {"max_tokens": 12}),
        ("stop", "END", {"stop": ["END"]}),
        ("stop", "off", {}),
    ],
)
def test_a_wish_is_in_the_request(name: str, rest: str, added: dict[str, object]) -> None:
    body = wishes.changed(Wishes(model="m"), name, rest).body([])
    usual = {"model", "messages", "stream", "stream_options"}
    assert {key: value for key, value in body.items() if key not in usual} == added


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("think", "maybe"),
        ("effort", "9"),
        ("temp", "nan"),
        ("temp", "3"),
        ("max", "0"),
        ("max", "²"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(name: str, rest: str) -> None:
    with pytest.raises(Unfit):
        wishes.changed(Wishes(), name, rest)


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        (["one"], "one"),
        (["one\\", "two\\", "three"], "one\ntwo\nthree"),
        (['"""one', "  two\\", 'three"""'], "one\n  two\\\nthree"),
        (['"""one"""'], "one"),
        (['"""', "{", '}"""'], "{\n}"),
    ],
)
def test_a_question_may_have_several_lines(typed: list[str], whole: str) -> None:
    lines: Iterator[str] = iter(typed)
    assert question(lambda _: next(lines)) == whole
    assert not list(lines)


def test_events_come_out_of_any_cut() -> None:
    text = 'event: tick\r\ndata: {"a": "\u2028\x85"}\r\n\r\n: waits\n\ndata: one\ndata: two\n\n'
    for size in (1, 7, 1000):
        split, data = Split(), text.encode()
        found = [
            event for at in range(0, len(data), size) for event in split.feed(data[at : at + size])
        ]
        assert found == [Event("tick", '{"a": "\u2028\x85"}'), Event("", "one\ntwo")]
    with pytest.raises(TooLong):
        Split().feed(b"x" * (MOST_BYTES + 1))


def said(**delta: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def test_an_answer_is_told_by_its_pieces() -> None:
    answer = Answer(10.0)
    assert answer.hear(said(role="assistant", content=""), 10.1) == []
    assert answer.hear(said(reasoning_content="hm"), 10.5) == [Piece("thought", "hm")]
    assert answer.hear(said(content="yes"), 11.5) == [Piece("said", "yes")]
    call = {"index": 0, "function": {"name": "f", "arguments": '{"a'}}
    answer.hear(said(tool_calls=[call]), 12.0)
    answer.hear(said(tool_calls=[{"index": 0, "function": {"arguments": '":1}'}}]), 12.5)
    usage = {"prompt_tokens": 1200, "completion_tokens": 41, "prompt_cache_hit_tokens": 1024}
    usage_event = {"choices": [], "usage": usage}
    answer.hear(usage_event, 12.6)
    assert answer.text == 'yes\nf({"a":1})' and answer.thoughts == "hm"
    assert answer.counts == Counts(1200, 1024, 41, None)
    assert answer.figures() == "first token 0.50 s · 20 tokens/s · 1,200 in (1,024 cached) · 41 out"


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [1],
        {"choices": "no"},
        {"choices": [3]},
        {"choices": [{"delta": 3}]},
        {"choices": [{"delta": {"content": 7, "tool_calls": [1, {"function": 2}]}}]},
        {"usage": {"prompt_tokens": "many", "prompt_tokens_details": 3}},
    ],
)
def test_an_odd_event_says_nothing(odd: object) -> None:
    answer = Answer(0.0)
    assert answer.hear(odd, 1.0) == [] and answer.figures() == ""


def test_an_answer_that_says_nothing_is_no_turn() -> None:
    kept = Turns()
    kept.asking("why?")
    kept.answered(Answer(0.0))
    assert kept.messages == [] and kept.again() == "why?"
    answer = Answer(0.0)
    answer.hear(said(content="so"), 1.0)
    kept.asking("why?")
    kept.answered(answer)
    assert [turn["content"] for turn in kept.messages] == ["why?", "so"]
    assert kept.again() == "why?" and kept.messages == []
    kept.asking("why?")
    kept.answered(Answer(0.0))
    assert [turn["content"] for turn in kept.messages] == ["why?", "so"], (
        "refused: the old answer stays"
    )


def test_a_call_costs_what_its_last_piece_costs() -> None:
    answer = Answer(0.0)
    for number in range(100_000):
        call = {"index": 0, "function": {"name": "" if number else "f", "arguments": "0123456789"}}
        assert answer.hear(said(tool_calls=[call]), float(number)) == []
    assert (answer.first, answer.last) == (0.0, 99_999.0)
    assert answer.calls == [f"f({'0123456789' * 100_000})"]


def test_turns_are_saved_over_turns_alone(tmp_path: Path) -> None:
    path, turn = tmp_path / "turns.json", {"role": "user", "content": "\x1b é"}
    turns.save(path, "be brief", [turn])
    assert turns.load(path) == ("be brief", [turn])
    turns.save(path, "", [turn, turn])
    assert turns.load(path) == ("", [turn, turn]) and list(tmp_path.iterdir()) == [path]
    path.write_text(json.dumps({"my": "notes"}))
    with pytest.raises(Unfit, match="left alone"):
        turns.save(path, "", [turn])
    with pytest.raises(Unfit, match="no list of messages"):
        turns.load(path)
    with pytest.raises(Unfit, match="cannot be read"):
        turns.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://host/v1/", "https://host"),
        ("http://host:1/behind/console", "http://host:1/behind"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_url_as_people_write_it(written: str, url: str) -> None:
    assert site(written).url == url


@pytest.mark.parametrize("wrong", ["ftp://host", "http://", "http://u:p@host", ""])
def test_what_is_no_url_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError):
        site(wrong)


def test_a_servers_error_is_inert() -> None:
    body = {"error": {"message": "no\x1b[2J", "todo": "pay\x07"}}
    assert refusal(json.dumps(body)) == ("no␛[2J", "pay␇")
    assert refusal('{"error": "plain"}') == ("plain", "")
    assert refusal("<html>") is None and refusal("[1]") is None and refusal('{"error": 3}') is None


def drawn(*seen: Seen, width: int = 90, rows: int = 40) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(board(seen, width, rows))
        return console.export_text()


def tick(**values: float | None) -> Event:
    return Event("tick", json.dumps({"at": 1.0, "values": values}))


HOSTILE = "[bold]x[/nonsense]\x1b[2J"
STATE = {
    "tier": HOSTILE,
    "version": "0.1.0",
    "classes": [{"name": HOSTILE, "promised": 0.6}],
    "engines": [
        {
            "name": "engine-0",
            "state": "starting",
            "stage_words": "loading weights",
            "progress": 0.4,
        },
        {"name": HOSTILE, "state": "failed", "cause": HOSTILE, "remedy": "mend it", "restarts": 3},
        {"name": "e2", "state": "ready", "restarts": 1},
    ],
}


def test_a_panel_shows_foreign_words_as_words() -> None:
    seen = Seen("there")
    seen.heard(Event("state", json.dumps(STATE)))
    seen.heard(tick(tokens_out=1234.0, ttft_p99=2.5, **{"kv:e2": 0.5, f"waiting:{HOSTILE}": 7}))
    seen.heard(Event("event", json.dumps({"number": 1, "at": 1.0, "words": HOSTILE, "times": 3})))
    page = drawn(seen)
    assert page.count("[bold]x[/nonsense]␛[2J") == 5 and "\x1b" not in page
    assert "40% loading weights" in page and "restarts: 3" in page and "mend it" in page
    assert "██████░░░░░░  50%" in page and "1,234/s" in page and "2.5 s p99" in page
    assert "(3 times)" in page
    for width in (20, 40, 72):
        assert all(len(row) <= width for row in drawn(seen, width=width).splitlines())


def test_servers_stand_beside_each_other_where_there_is_room() -> None:
    one, two = Seen("http://one"), Seen("http://two")
    assert any(
        "http://one" in row and "http://two" in row
        for row in drawn(one, two, width=160).splitlines()
    )
    assert not any(
        "http://one" in row and "http://two" in row
        for row in drawn(one, two, width=90).splitlines()
    )


def test_a_server_that_is_gone_says_when_it_is_asked_again() -> None:
    seen = Seen("there")
    seen.stated(STATE)
    seen.lost("Nothing answers.", "Start it.", time.monotonic() + 7.5)
    page = drawn(seen)
    assert "Nothing answers." in page and "Start it." in page and "asking again in 7 s" in page
    seen.stated(STATE)
    assert "Nothing answers." not in drawn(seen)


def test_series_have_a_bound_and_an_unknown_now() -> None:
    seen = Seen("there")
    seen.remembered(
        {"series": {"running": [1.0] * (KEPT + 5), "odd": "no", "gone": [1, "x", None]}}
    )
    assert len(seen.past("running")) == KEPT and seen.past("gone") == [1, None, None]
    seen.heard(tick(running=2.0, fresh=1.0))
    assert (seen.now("running"), seen.now("gone"), seen.past("fresh")) == (2.0, None, [1.0])
    for odd in ("[]", "no", '{"values": 3, "engines": "x"}', '{"engines": [3]}'):
        seen.heard(Event("tick", odd))
        seen.heard(Event("state", odd))
        seen.heard(Event("event", odd))
    assert drawn(seen)
    seen.recalled(
        {"events": [{"number": 3, "words": "third"}, {"number": 2, "words": "second"}, 7]}
    )
    seen.heard(Event("event", '{"number": 3, "words": "third", "times": 2}'))
    assert [one["number"] for one in seen.events if one] == [2, 3]

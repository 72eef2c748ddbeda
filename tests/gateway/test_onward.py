"""How another engine's text is told in the place of the one that was lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seekserve.errors import NotTakenUp
from seekserve.gateway.kept import Kept
from seekserve.gateway.onward import Onward
from seekserve.gateway.seam import Seam
from tests.fake_tokens import ids_of

TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}


def onward(asked: dict[str, Any], told: str, made: str) -> Onward:
    """A token is a character; `made` begins with `told`."""
    kept = Kept()
    kept.first = b'data:{"id":"c","object":"chat.completion.chunk","created":1,"model":"m"}'
    kept.text += json.dumps(told)[1:-1].encode()
    seam = Seam.at({"max_tokens": 100} | asked, kept, True, ids_of(made), made, [7])
    return Onward(seam)


def said(out: bytes) -> str:
    """The content that a client was told."""
    events = [e.removeprefix(b"data: ") for e in out.split(b"\n\n") if e.startswith(b"data: {")]
    deltas = [choice["delta"] for e in events for choice in json.loads(e)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def token(text: str, why: str | None = None) -> bytes:
    choice = {"text": text, "finish_reason": why, "token_ids": ids_of(text)}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


# The markup of a tool call, which a chat's engine never tells as content.


@pytest.mark.parametrize("made", ["<｜DSML｜tool_calls>\n", "<tool_call>", "a <tool_call>{"])
def test_a_call_that_was_begun_and_not_told_is_not_taken_up(made: str) -> None:
    with pytest.raises(NotTakenUp, match="tool call was under way"):
        onward(TOOLS, "Hi.", "Hi." + made).opening()


@pytest.mark.parametrize("mark", ["<｜", "<tool_call>"])
@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("size", [1, 3, 99])
def test_a_mark_in_pieces_is_one(mark: str, cut: int, size: int) -> None:
    """Its first character may be the last that the engine before made, and held back."""
    one = onward(TOOLS, "Hi.", "Hi." + mark[:cut])
    parts = [mark[at : at + size] for at in range(cut, len(mark), size)]
    out = one.opening() + b"".join(map(one.events, map(token, parts[:-1])))
    assert said(out) == ""
    with pytest.raises(NotTakenUp):
        one.events(token(parts[-1]))


@pytest.mark.parametrize("rest", [[" b"], ["", "tool", "s>"], ["<", "<p>"], [""]])
def test_what_only_looked_like_one_is_told(rest: list[str]) -> None:
    one = onward(TOOLS, "a ", "a <")
    out = one.opening() + b"".join(map(one.events, map(token, rest)))
    assert said(out + one.events(token("", "stop"))) == "<" + "".join(rest)


def test_nothing_is_held_of_an_answer_that_has_no_more_tokens() -> None:
    assert said(onward(TOOLS | {"max_tokens": 3}, "a ", "a <").opening()) == "<"


def test_words_of_another_format_are_words_where_there_are_no_tools() -> None:
    one = onward({}, "a ", "a <tool_call>")
    assert said(one.opening() + one.events(token(" b", "stop"))) == "<tool_call> b"


# The request's own rules, which the next engine is to keep.


def test_a_stop_that_was_told_while_the_answer_was_too_short_does_not_end_it() -> None:
    one = onward({"min_tokens": 6, "stop": ["\n", "END OF ALL"]}, "1\n2\n", "1\n2\n")
    out = one.opening() + one.events(token("3\n")) + one.events(token("4")) + one.events(token("5"))
    assert not one.ended
    out += one.events(token("\n6"))
    assert one.ended and said(out) == "3\n45"


def test_a_stop_that_is_to_be_told_is_told() -> None:
    asked = {"stop": ["STOP"], "include_stop_str_in_output": True}
    one = onward(asked, "1 S", "1 S")
    assert said(one.opening() + one.events(token("TOP 2"))) == "TOP" and one.ended


def test_loops_are_looked_for_there_too() -> None:
    rules = {"repetition_detection": {"max_pattern_size": 8}, "include_stop_str_in_output": True}
    kept = Kept()
    asked = Seam.at(rules | {"max_tokens": 9}, kept, True, [], "", [7]).request()
    assert asked.items() >= rules.items()

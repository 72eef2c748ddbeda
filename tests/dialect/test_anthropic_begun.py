"""Messages that Anthropic's clients begin, from the engine's texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seekserve.dialect.anthropic_begun import Begun
from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Pinging
from seekserve.gateway.sse import Tap
from tests.dialect.test_continued import AWKWARD, stream, whole


def message(data: bytes, thinks: bool = False) -> list[dict[str, Any]]:
    out = Tap(Begun("claude-x", thinks).voice(True), lambda: 0.0).feed(data)
    return [json.loads(part.partition(b"data: ")[2]) for part in out.split(b"\n\n")[:-1]]


def test_a_begun_message() -> None:
    events = message(stream("so", "</thi", "nk>", "It ", AWKWARD), thinks=True)
    assert events[0]["message"]["id"] == "msg_7"
    starts = [e["content_block"]["type"] for e in events if e["type"] == "content_block_start"]
    assert starts == ["thinking", "text"]
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    assert "".join(d.get("text", "") for d in deltas) == f"It {AWKWARD}"
    assert "".join(d.get("thinking", "") for d in deltas) == "so"
    assert (events[-2]["usage"]["input_tokens"], events[-2]["usage"]["output_tokens"]) == (5, 3)
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


@pytest.mark.parametrize(
    ("finish", "stop", "reason"),
    [("stop", "END", "stop_sequence"), ("length", None, "max_tokens"), ("stop", 7, "end_turn")],
)
def test_how_a_begun_message_ends(finish: str, stop: Any, reason: str) -> None:
    sequence = stop if reason == "stop_sequence" else None
    expected = {"stop_reason": reason, "stop_sequence": sequence}
    assert message(stream("a", finish=finish, stop=stop))[-2]["delta"] == expected
    told = Begun("claude-x", False).answer(whole("a", finish_reason=finish, stop_reason=stop))
    assert {key: told[key] for key in expected} == expected
    assert (told["model"], told["content"]) == ("claude-x", [{"type": "text", "text": "a"}])


def test_a_begun_message_that_the_engine_gave_up() -> None:
    assert message(stream("a", finish="abort"))[-1]["type"] == "error"
    with pytest.raises(EngineBroke):
        Begun("m", False).answer(whole("a", finish_reason="abort"))
    assert message(stream(finish="abort"))[0]["message"]["id"] == "msg_7"


def test_silences_are_bridged_by_pings_once_it_has_begun() -> None:
    voice = Begun("m", False).voice(True)
    assert isinstance(voice, Pinging)
    assert voice.silence().startswith(b": ")
    Tap(voice, lambda: 0.0).feed(stream("a"))
    assert voice.silence().startswith(b"event: ping")

"""Tool calls that do not come one after the other end a stream, and what was told stays whole."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.errors import EngineBroke
from seekserve.gateway.sse import Tap
from tests.dialect import test_anthropic as messages
from tests.dialect import test_responses_stream as responses
from tests.dialect.test_responses_stream import DELTAS, chunk, event, piece

BEFORE = event(chunk({"content": "a"}))
BREAK = [piece(0, "{", id="c", name="f"), piece(1, "", id="d", name="g"), piece(0, "}")]
BREAKING = b"".join(event(chunk(call)) for call in BREAK)
USAGE = event({"choices": [], "usage": {"prompt_tokens": 1}})


def fed(tap: Tap, *reads: bytes) -> tuple[bytes, EngineBroke]:
    """What goes out, as the relay sends it, and what broke."""
    out = b""
    for data in reads:
        try:
            out += tap.feed(data)
        except EngineBroke as broke:
            return out, broke
        if tap.broke:
            return out, tap.broke
    raise AssertionError("nothing broke")


@pytest.mark.parametrize(
    ("reads", "items"),
    [
        ((BREAKING,), 0),
        ((BEFORE, BREAKING), 0),
        ((BEFORE + BREAKING,), 0),
        ((BEFORE + USAGE + BREAKING,), 2),
        ((BEFORE, BREAKING[: BREAKING.index(b'"d"')] + b'"d"', BREAKING[BREAKING.index(b'"d"') + 3 :]), 1),
        (tuple(event(chunk(delta)) for delta in (*DELTAS, piece(0, "x"))), 3),
    ],
)  # fmt: skip
def test_what_went_out_is_what_is_told(reads: tuple[bytes, ...], items: int) -> None:
    """Numbers without a gap, an opening, and in the end the items that were told as done."""
    tap = responses.tap()
    out, broke = fed(tap, *reads)
    voice: Any = tap._voice
    told = responses.heard(out + voice.failed(broke))
    kinds = [one.type.removeprefix("response.") for one in told]
    assert kinds[:2] == ["created", "in_progress"] and kinds[-1] == "failed"
    done = [one.item for one in told if one.type == "response.output_item.done"]
    assert told[-1].response.output == done
    assert len(done) == items


def test_anthropics_blocks_take_no_more_once_closed() -> None:
    for between in ({"content": "b"}, BREAK[1]):
        tap = messages.tap()
        told = [{"content": "a"}, BREAK[0], between, BREAK[2]]
        out, broke = fed(tap, *(messages.event(delta) for delta in told))
        assert "one after the other" in broke.message
        voice: Any = tap._voice
        events = messages.parsed(out + voice.failed(broke))
        assert events[-1][0] == "error"
        deltas = [e["index"] for name, e in events if name == "content_block_delta"]
        assert deltas == sorted(deltas)


def test_a_cut_answer_is_incomplete_to_all() -> None:
    end = responses.heard(responses.tap().feed(responses.stream("repetition")))[-1]
    assert end.type == "response.incomplete"
    assert end.response.incomplete_details.reason == "max_output_tokens"
    ended = messages.spoken(messages.stream({"content": "c"}, finish="repetition"))[-2][1]
    assert ended["delta"]["stop_reason"] == "max_tokens"

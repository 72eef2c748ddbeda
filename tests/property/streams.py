"""Streams as vLLM 0.32 makes them, generated: what was said, and how it stands on the wire.

Shapes read in vLLM's entrypoints/openai/{chat_completion,completion}/serving.py: events are dumped
without unset fields, texts come in pieces of any size, usage in an event of its own, then [DONE].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
USAGE = {
    "prompt_tokens": 12,
    "total_tokens": 18,
    "completion_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
_TRAPS = (
    *("usage", "error", "[DONE]", "text", "content", "role", "finish_reason", "reasoning", "stop"),
    *('"usage"', '"error":{"x":1}', '"finish_reason":"stop"', '"reasoning":', ',"token_ids":null'),
    *("data: [DONE]\n\n", "data: {}\n\n", "\n\n", "\r\n\r\n", "\r", ": ping\n\n", "event: x\n"),
    *('"', "\\", '\\"', '"}}', "}]}", '"reasoning_content":null', ',"reasoning_content":""', "'"),
    *("\x00", "\x1f", "\x7f", "\u2028", "\u0085", "\ufeff", "\U0001f600", "é", "{", "[", "null"),
    *('"role":"assistant"', '{"index":0,"delta":{"content":"a"}', ',"stop_reason":null', " w1"),
)
texts = st.one_of(
    st.sampled_from(_TRAPS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.lists(st.sampled_from(_TRAPS), min_size=2, max_size=3).map("".join),
)


@dataclass(frozen=True)
class Wire:
    """How an engine writes: all of it is the same to a reader."""

    ascii: bool
    spaced: bool
    newline: bytes
    comments: bool

    def event(self, told: Json | str) -> bytes:
        marks = (", ", ": ") if self.spaced else (",", ":")
        text = (
            told
            if isinstance(told, str)
            else json.dumps(told, ensure_ascii=self.ascii, separators=marks)
        )
        ping = b": ping" + 2 * self.newline if self.comments else b""
        return ping + f"data: {text}".encode() + 2 * self.newline


wires = st.builds(
    Wire, st.booleans(), st.booleans(), st.sampled_from([b"\n", b"\n", b"\r\n"]), st.booleans()
)


@dataclass(frozen=True)
class Stream:
    """An engine's stream, and by choice the deltas that were said in it and how it finished."""

    wire: Wire
    told: tuple[Json, ...]
    said: tuple[tuple[Json, ...], ...]
    finish: str

    @property
    def parts(self) -> list[bytes]:
        return [*map(self.wire.event, self.told), self.wire.event("[DONE]")]

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)

    def joined(self, key: str, choice: int = 0) -> str:
        return "".join(delta.get(key) or "" for delta in self.said[choice])

    def calls(self, choice: int = 0) -> list[tuple[str, str, str]]:
        """(id, name, arguments) of each call."""
        return joined_calls(self.said[choice])


def joined_calls(deltas: Iterable[Json]) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call that comes in pieces."""
    named: dict[int, list[str]] = {}
    for piece in (p for delta in deltas for p in delta.get("tool_calls") or ()):
        function = piece["function"]
        if piece["index"] not in named:
            named[piece["index"]] = [piece["id"], function["name"], ""]
        named[piece["index"]][2] += function.get("arguments") or ""
    return [(id_, name, arguments) for id_, name, arguments in named.values()]


def cut(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def _call(draw: st.DrawFn, number: int) -> list[Json]:
    """One call's deltas: its name, then its arguments in pieces."""
    arguments = json.dumps(
        draw(st.dictionaries(texts, texts | st.integers(), max_size=2)), ensure_ascii=False
    )
    head = {"id": f"chatcmpl-tool-{number}", "type": "function", "index": number}
    first, *rest = cut(draw, arguments)
    opening = [head | {"function": {"name": f"f{number}", "arguments": first}}]
    if draw(st.booleans()):
        opening, rest = (
            [head | {"function": {"name": f"f{number}", "arguments": ""}}],
            [first, *rest],
        )
    pieces = opening + [{"index": number, "function": {"arguments": piece}} for piece in rest]
    return [{"tool_calls": [piece]} for piece in pieces]


@st.composite
def deltas(draw: st.DrawFn, with_calls: bool = True) -> tuple[Json, ...]:
    """What one choice says: thinks, speaks, calls, in this order, or now and then again and again."""
    said: list[Json] = []
    number = 0
    for _ in range(draw(st.integers(1, 2))):
        said += [{"reasoning": text} for text in draw(st.lists(texts, max_size=4))]
        said += [{"content": text} for text in draw(st.lists(texts, max_size=4))]
        for _ in range(draw(st.integers(0, 2)) if with_calls else 0):
            said += _call(draw, number)
            number += 1
    return tuple(said)


def token(text: str) -> Json:
    bytes_ = list(text.encode())
    one = {"token": text, "logprob": -0.5, "bytes": bytes_}
    return one | {"top_logprobs": [one]}


def _spoken(delta: Json) -> str | None:
    return delta.get("reasoning") or delta.get("content")


def _chunk(kind: str, choices: list[Json], **more: Any) -> Json:
    about = {"id": "chatcmpl-7f", "object": kind, "created": 7, "model": "m"}
    return about | {"choices": choices} | more


@st.composite
def chats(draw: st.DrawFn, choices: int = 1, logprobs: bool = False) -> Stream:
    """A stream of chat: opened by a role for each choice, its choices mixed."""
    said = tuple(draw(deltas()) for _ in range(choices))
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "repetition"]))
    ends = tuple(draw(st.sampled_from([{}, {"content": ""}, {"content": "usage"}])) for _ in said)
    told = [_opening(index) for index in range(choices)]
    order = draw(st.permutations([n for n, one in enumerate(said) for _ in (*one, 0)]))
    left = [iter((*one, None)) for one in said]
    for index in order:
        delta = next(left[index])
        told.append(
            _closing(index, ends[index], finish)
            if delta is None
            else _saying(index, delta, logprobs)
        )
    told.append(_chunk("chat.completion.chunk", [], usage=USAGE))
    whole = tuple((*one, end) for one, end in zip(said, ends, strict=True))
    wire = draw(wires)  # vLLM never spaces; only log-probabilities' words are sought without spaces
    return Stream(replace(wire, spaced=False) if logprobs else wire, tuple(told), whole, finish)


def _opening(index: int) -> Json:
    choice = {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None}
    more: Json = {"prompt_token_ids": None, "prompt_text": None}
    return _chunk("chat.completion.chunk", [choice | {"finish_reason": None}], **more)


def _saying(index: int, delta: Json, logprobs: bool) -> Json:
    text = _spoken(delta) if logprobs else None
    told = {"content": [token(text)]} if text else None
    choice = {"index": index, "delta": delta, "logprobs": told, "finish_reason": None}
    return _chunk("chat.completion.chunk", [choice | {"token_ids": None}])


def _closing(index: int, delta: Json, finish: str) -> Json:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    more = {"stop_reason": None, "token_ids": None}
    return _chunk("chat.completion.chunk", [choice | more], system_fingerprint="vllm-0.32.0-x")


@st.composite
def plain(draw: st.DrawFn, thinks: bool = False, choices: int = 1) -> Stream:
    """A stream of text completions; one that thinks says </think>, or never.

    A request with stop strings has vLLM keep the last characters back (v1/engine/detokenizer.py), so
    what is one token need not come in one piece.
    """
    said: list[tuple[Json, ...]] = []
    for _ in range(choices):
        pieces = draw(st.lists(texts, min_size=1, max_size=6))
        if thinks and draw(st.booleans()):
            place = draw(st.integers(0, len(pieces)))
            pieces[place:place] = cut(draw, draw(texts) + "</think>" + draw(texts))
        said.append(tuple({"text": piece} for piece in pieces))
    finish = draw(st.sampled_from(["stop", "length"]))
    told = [
        _text(index, delta["text"], finish if delta is one[-1] else None)
        for index, one in enumerate(said)
        for delta in one
    ]
    told.append(_chunk("text_completion", [], usage=USAGE))
    return Stream(draw(wires), tuple(told), tuple(said), finish)


def _text(index: int, text: str, finish: str | None) -> Json:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    more = {"stop_reason": None, "prompt_token_ids": None, "token_ids": None}
    return _chunk("text_completion", [choice | more])


@st.composite
def reads(draw: st.DrawFn, stream: Stream) -> list[bytes]:
    """The stream cut into reads: at any places, event by event, or both."""
    data = stream.data
    at = draw(st.sets(st.integers(1, len(data) - 1), max_size=12))
    if draw(st.booleans()):
        ends = [sum(map(len, stream.parts[:n])) for n in range(1, len(stream.parts))]
        at |= set(draw(st.lists(st.sampled_from(ends)))) if draw(st.booleans()) else set(ends)
    places = sorted(at)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]

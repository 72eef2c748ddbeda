"""The stream of /v1/responses: typed, numbered events; each item opened, filled and closed. Pure.

The sequence is OpenAI's, as DeepSeek documents it (created, in_progress, per item: added, part added,
deltas, done, part done, item done; then completed, incomplete or failed; no [DONE]). Shapes: the
`openai` SDK 3.54, types/responses/*_event.py.

A delta's text is JSON already. It is taken from between its quotes and set between ours, undecoded;
the parts are kept and joined once, when their item is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seekserve.dialect import responses_shape as shape
from seekserve.errors import EngineBroke, Refusal

_TEXT = rb'"((?:[^"\\]++|\\.)*+)"'
_DELTA = re.compile(
    rb'data: ?\{[^\[{]*+\[\{"index": ?0, ?"delta": ?\{(?:"(content|reasoning)": ?'
    + _TEXT
    + rb'|"tool_calls": ?\[\{"index": ?(\d+), ?"function": ?\{"arguments": ?'
    + _TEXT
    + rb'\}\}\])\}(?:, ?"(?:logprobs|finish_reason|token_ids)": ?null)*+\}\]\}'
)
"""An engine's event that holds nothing but a piece of one text or of one call's arguments."""

Shape = Callable[..., dict[str, Any]]


@dataclass(slots=True)
class _Item:
    """An output item that is being filled. `key` is the name or number the engine calls it by."""

    key: bytes
    name: str
    place: int
    shape: Shape
    part: str
    event: str
    parts: list[bytes] = field(default_factory=list)
    before: bytes = b""
    after: bytes = b""


class Stream:
    """The voice of one response. `cap` (bytes) bounds the text it keeps for the closing events."""

    steady = False  # its events are numbered, no two alike

    def __init__(self, echo: Mapping[str, Any], cap: int) -> None:
        self._echo, self._cap = echo, cap
        self._number = self._size = 0
        self._gone = 0, 0
        self._stem = ""
        self._response: dict[str, Any] = {}
        self._item: _Item | None = None
        self._output: list[bytes] = []
        self._called: set[bytes] = set()
        self._finish = ""
        self._usage: dict[str, Any] | None = None

    def events(self, data: bytes) -> bytes:
        return self._going([self._one(event) for event in data.split(b"\n\n") if event])

    def event(self, event: dict[str, Any]) -> bytes:
        return self._going(self._parsed(event))

    def done(self) -> bytes:
        end = shape.ending(self._finish)
        begun = self._begin({})
        whole = end["status"] == "completed"
        return begun + self._close("completed" if whole else "incomplete") + self._ended(end)

    def failed(self, refusal: Refusal) -> bytes:
        """Tells of what went out, and of nothing that a failure overtook."""
        self._number, items = self._gone
        del self._output[items:]
        self._response = self._response if self._number else {}
        return self._begin({}) + self._ended(shape.failure(refusal.message))

    def _going(self, parts: Iterable[bytes]) -> bytes:
        """What goes out, and a note of it: where one part raises, none does."""
        out = b"".join(parts)
        self._gone = self._number, len(self._output)
        return out

    def _one(self, event: bytes) -> bytes:
        if (item := self._item) and (found := _DELTA.fullmatch(event)):
            key, text, call, arguments = found.groups()
            if item.key == (key or call):
                return self._delta(item, text if key else arguments)
        if event.startswith(b":"):
            return event + b"\n\n"
        try:
            told = json.loads(event.removeprefix(b"data:"))
        except ValueError:
            return b""
        return b"".join(self._parsed(told)) if isinstance(told, dict) else b""

    def _delta(self, item: _Item, raw: bytes) -> bytes:
        if not raw:
            return b""
        self._size += len(raw)
        if self._size > self._cap:
            raise EngineBroke(f"The answer exceeds {self._cap >> 20} MiB.")
        item.parts.append(raw)
        self._number += 1
        return b"%b%b%b%d}\n\n" % (item.before, raw, item.after, self._number - 1)

    def _parsed(self, event: dict[str, Any]) -> Iterator[bytes]:
        yield self._begin(event)
        self._usage = _table(event.get("usage")) or self._usage
        for choice in _tables(event.get("choices")):
            if not choice.get("index"):
                yield from self._said(_table(choice.get("delta")))
                self._finish = str(choice.get("finish_reason") or self._finish)

    def _said(self, delta: dict[str, Any]) -> Iterator[bytes]:
        if thought := delta.get("reasoning") or delta.get("reasoning_content"):
            yield from self._text(b"reasoning", thought)
        if said := delta.get("content"):
            yield from self._text(b"content", said)
        for call in _tables(delta.get("tool_calls")):
            yield from self._call(call)

    def _text(self, key: bytes, text: Any) -> Iterator[bytes]:
        if not self._item or self._item.key != key:
            yield self._close()
            short, make, kind = _TEXTS[key]
            name, place = f"{short}_{self._stem}{len(self._output)}", len(self._output)
            self._item = item = _Item(key, name, place, make, kind, f"response.{kind}")
            yield self._opened(item, make(name, "in_progress"))
            yield self._numbered("response.content_part.added", _at(item) | {"part": _part(item)})
        yield self._delta(self._item, _raw(text))

    def _call(self, call: dict[str, Any]) -> Iterator[bytes]:
        key, function = str(call.get("index") or 0).encode(), _table(call.get("function"))
        if not self._item or self._item.key != key:
            yield self._close()
            yield self._new_call(key, call.get("id"), function.get("name"))
        assert self._item
        yield self._delta(self._item, _raw(function.get("arguments") or ""))

    def _new_call(self, key: bytes, call_id: Any, tool: Any) -> bytes:
        """Calls come one after the other: a piece of one that is closed has no place to go."""
        if key in self._called or not isinstance(tool, str):
            raise EngineBroke("The engine's tool calls do not come one after the other.")
        self._called.add(key)
        place = len(self._output)
        name, called = f"fc_{self._stem}{place}", str(call_id or f"call_{self._stem}{place}")

        def make(name: str, status: str, arguments: str = "") -> dict[str, Any]:
            return shape.call(name, status, called, tool, arguments)

        self._item = _Item(key, name, place, make, "", "response.function_call_arguments")
        return self._opened(self._item, make(name, "in_progress"))

    def _opened(self, item: _Item, empty: dict[str, Any]) -> bytes:
        delta = {"type": f"{item.event}.delta"} | _at(item) | _noted(item) | {"delta": ""}
        before = _sse(f"{item.event}.delta", _json(delta))
        item.before, item.after = before[: -len(b'"}\n\n')], b'","sequence_number":'
        added = {"output_index": item.place, "item": empty}
        return self._numbered("response.output_item.added", added)

    def _close(self, status: str = "completed") -> bytes:
        """The closing events of the item that is open, if one is."""
        item, self._item = self._item, None
        if item is None:
            return b""
        raw = b"".join(item.parts)
        whole = item.shape(item.name, status, "")
        self._output.append(_filled(whole, raw))
        if item.part:
            said = _at(item) | _noted(item) | {"text": ""}
            done = [self._numbered(f"{item.event}.done", said, raw)]
            closed = _at(item) | {"part": _part(item)}
            done.append(self._numbered("response.content_part.done", closed, raw))
        else:
            named = _at(item) | {"name": whole["name"], "arguments": ""}
            done = [self._numbered(f"{item.event}.done", named, raw)]
        end = {"output_index": item.place, "item": whole}
        return b"".join([*done, self._numbered("response.output_item.done", end, raw)])

    def _begin(self, event: Mapping[str, Any]) -> bytes:
        """The two events that open a stream, once."""
        if self._response:
            return b""
        self._response = shape.head(event, self._echo)
        self._stem = f"{shape.stem(event)}_"
        started = {"response": self._response | {"output": []}}
        kinds = ("response.created", "response.in_progress")
        return b"".join([self._numbered(kind, started) for kind in kinds])

    def _ended(self, end: dict[str, Any]) -> bytes:
        kind = f"response.{end['status']}"
        counts = shape.usage(self._usage) if self._usage else None
        about = _json(self._response | end | {"usage": counts, "output": []})
        response = about.removesuffix(b"[]}") + b"[%b]}" % b",".join(self._output)
        self._number += 1
        fields = b'{"type":"%b","sequence_number":%d,' % (kind.encode(), self._number - 1)
        return _sse(kind, fields + b'"response":' + response + b"}")

    def _numbered(self, kind: str, fields: dict[str, Any], raw: bytes = b"") -> bytes:
        about = {"type": kind, "sequence_number": self._number} | fields
        self._number += 1
        return _sse(kind, _filled(about, raw) if raw else _json(about))


_TEXTS: dict[bytes, tuple[str, Shape, str]] = {
    b"reasoning": ("rs", shape.reasoning, "reasoning_text"),
    b"content": ("msg", shape.message, "output_text"),
}


def _at(item: _Item) -> dict[str, Any]:
    """Where an event belongs."""
    at = {"item_id": item.name, "output_index": item.place}
    return at | {"content_index": 0} if item.part else at


def _noted(item: _Item) -> dict[str, Any]:
    return {"logprobs": []} if item.part == "output_text" else {}


def _part(item: _Item) -> dict[str, Any]:
    return shape.part(item.part)


def _filled(about: dict[str, Any], raw: bytes) -> bytes:
    """`about` as JSON, its last empty string filled with text that is JSON already."""
    empty = _json(about)
    slot = empty.rindex(b'""') + 1
    return empty[:slot] + raw + empty[slot:]


def _json(value: Any) -> bytes:
    """Lone surrogates, which JSON can name and UTF-8 cannot, become `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _raw(text: Any) -> bytes:
    return _json(str(text))[1:-1]


def _sse(kind: str, data: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _table(value: Any) -> dict[str, Any]:
    """What should be an object, or an empty one: an engine may say anything."""
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [_table(one) for one in value] if isinstance(value, list) else []

"""Anthropic's event stream: content blocks that open, grow and close, made from the engine's deltas.

The text of a delta is spliced as bytes: both sides write it as a JSON string. Only deltas of another
form (roles, the start of a tool call, the finish) are parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from seekserve.dialect import anthropic_answer as words
from seekserve.errors import EngineBroke, Refusal

# A quoted key followed by a colon cannot occur inside a JSON string, whose quotes are escaped.
_STRING = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
_ALONE = rb'\s*\}[^{}]*"finish_reason":\s*null'
_PLAIN = re.compile(
    rb'"delta":\s*\{\s*"(content|reasoning|reasoning_content)":\s*' + _STRING + _ALONE
)
_ARGUMENTS = re.compile(
    rb'"delta":\s*\{\s*"tool_calls":\s*\[\s*\{\s*"index":\s*(\d+),\s*"function":\s*\{\s*"arguments":\s*'
    + _STRING
    + rb"\s*\}\s*\}\s*\]"
    + _ALONE
)
_ID = re.compile(rb'"id":\s*"([^"\\]*)"')
_KINDS = {b"content": "text", b"reasoning": "thinking", b"reasoning_content": "thinking"}
_STARTS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_END = b'"}}\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_COMMENT = b": keep-alive\n\n"


class Stream:
    """A voice. Its state is the open block: its kind, its number, and how its deltas begin."""

    steady = True  # but where a block ends

    def __init__(self, model: str) -> None:
        self._model, self._id = model, ""
        self._kind, self._index, self._delta = "", -1, b""
        self._tools: dict[int, int] = {}
        self._finish: Any = None
        self._stop: Any = None
        self._usage: dict[str, Any] = {}

    def events(self, data: bytes) -> bytes:
        out = []
        for event in data.split(b"\n\n"):
            if not self._id and event and not event.startswith(b":"):  # comments have no id
                out.append(self._begin(_ID.search(event)))
            if found := _PLAIN.search(event):
                out.append(self._grow(_KINDS[found[1]], found[2]))
            elif found := _ARGUMENTS.search(event):
                out.append(self._grow_tool(int(found[1]), found[2]))
            elif event:
                out.append(self._parse(event))
        return b"".join(out)

    def event(self, event: dict[str, Any]) -> bytes:
        first = b""
        if not self._id:
            first = self._begin(_ID.search(json.dumps({"id": event.get("id")}).encode()))
        self._usage = event.get("usage") or self._usage
        choices = event.get("choices") or ()
        return first + b"".join([self._choice(choice) for choice in choices])

    def done(self) -> bytes:
        first = b"" if self._id else self._begin(None)
        try:
            reason, sequence = words.stopped(self._finish, self._stop, bool(self._tools))
        except EngineBroke as broke:
            return first + self._close() + self.failed(broke)
        told = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": words.usage(self._usage),
        }
        return first + self._close() + _event(told) + _event({"type": "message_stop"})

    def failed(self, refusal: Refusal) -> bytes:
        return _event(words.failure(refusal))

    def silence(self) -> bytes:
        """Pings, but a message begins with message_start: before it there are comments."""
        return PING if self._id else _COMMENT

    def _begin(self, found: re.Match[bytes] | None) -> bytes:
        self._id = words.message_id(found[1].decode(errors="replace") if found else "")
        message = words.opening(self._id, self._model)
        return _event({"type": "message_start", "message": message}) + PING

    def _grow(self, kind: str, text: bytes) -> bytes:
        """A delta of text or thinking. `text` is a JSON string without its quotes."""
        if not text:
            return b""
        turn = b"" if self._kind == kind else self._open(kind, _STARTS[kind])
        return turn + self._delta + text + _END

    def _grow_tool(self, number: int, text: bytes) -> bytes:
        """A piece of a call's arguments. Blocks come one after the other: a closed one takes no more."""
        if not text or number not in self._tools:
            return b""
        if self._kind != "tool_use" or self._tools[number] != self._index:
            raise EngineBroke("The engine's tool calls do not come one after the other.")
        return self._delta + text + _END

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        closed = self._close()
        self._index += 1
        self._kind, self._delta = kind, _delta(kind, self._index)
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        return closed + _event(start)

    def _close(self) -> bytes:
        """Ends the open block, if any; thinking is signed as it ends."""
        kind, self._kind = self._kind, ""
        if not kind:
            return b""
        signed = b""
        if kind == "thinking":
            told = {"type": "signature_delta", "signature": words.signature(self._id, self._index)}
            signed = _event({"type": "content_block_delta", "index": self._index, "delta": told})
        return signed + _event({"type": "content_block_stop", "index": self._index})

    def _parse(self, event: bytes) -> bytes:
        """An event of another form. One that cannot be read is left out: it has no translation."""
        if event.startswith(b":"):
            return event + b"\n\n"
        try:
            told = json.loads(event.removeprefix(b"data:"))
        except (ValueError, RecursionError):
            return b""
        choices = told.get("choices") if isinstance(told, dict) else None
        return b"".join([self._choice(c) for c in choices or () if isinstance(choices, list)])

    def _choice(self, choice: Any) -> bytes:
        if not isinstance(choice, dict):
            return b""
        self._finish = choice.get("finish_reason") or self._finish
        self._stop = choice.get("stop_reason") or self._stop
        delta = _table(choice.get("delta"))
        thought = delta.get("reasoning") or delta.get("reasoning_content") or ""
        said = [("thinking", thought), ("text", delta.get("content") or "")]
        out = [self._grow(kind, _spliced(text)) for kind, text in said]
        calls = delta.get("tool_calls")
        return b"".join(
            out + [self._call(_table(c)) for c in calls or () if isinstance(calls, list)]
        )

    def _call(self, call: dict[str, Any]) -> bytes:
        """A piece of a tool call; the first of each opens its block."""
        number, function = _number(call.get("index")), _table(call.get("function"))
        opened = b""
        if number not in self._tools:
            name = {"id": call.get("id"), "name": function.get("name")}
            opened = self._open("tool_use", {"type": "tool_use", **name, "input": {}})
            self._tools[number] = self._index
        return opened + self._grow_tool(number, _spliced(function.get("arguments") or ""))


def _delta(kind: str, index: int) -> bytes:
    """How a delta event begins, up to its text."""
    name, key = _DELTAS[kind]
    delta = {"type": name, key: ""}
    return _event({"type": "content_block_delta", "index": index, "delta": delta})[: -len(_END)]


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _spliced(text: Any) -> bytes:
    """A text as it stands between the quotes of a JSON string."""
    if not isinstance(text, str):
        return b""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="replace")


def _event(told: dict[str, Any]) -> bytes:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return f"event: {told['type']}\ndata: {text}\n\n".encode(errors="replace")

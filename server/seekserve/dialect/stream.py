"""The streams of OpenAI's shape: the engine's own events, a few words changed. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from seekserve.errors import Refusal

DONE = b"data: [DONE]\n\n"


class Events:
    """A voice made of two functions: one for the bytes of deltas, one for a parsed event."""

    steady = True

    def __init__(
        self,
        of_bytes: Callable[[bytes], bytes],
        of_event: Callable[[dict[str, Any]], dict[str, Any]],
        show_usage: bool,
    ) -> None:
        self.events = of_bytes
        self._of_event, self._show_usage = of_event, show_usage

    def event(self, event: dict[str, Any]) -> bytes:
        if event.get("usage") and not event.get("choices") and not self._show_usage:
            return b""
        return data(self._of_event(event))

    def done(self) -> bytes:
        return DONE

    def failed(self, refusal: Refusal) -> bytes:
        return b"data: " + refusal.envelope() + b"\n\n"


class UsageLast(Events):
    """The same, with the usage in the event that tells the last choice's finish, as DeepSeek documents
    it. That event waits for the counts, which the engine sends right after it.
    """

    def __init__(
        self,
        of_bytes: Callable[[bytes], bytes],
        of_event: Callable[[dict[str, Any]], dict[str, Any]],
        show_usage: bool,
    ) -> None:
        super().__init__(of_bytes, of_event, show_usage)
        self._of_bytes, self.events = of_bytes, self._events
        self._held: dict[str, Any] | None = None

    def _events(self, data: bytes) -> bytes:
        if not _finishes(data):
            return self._of_bytes(data)
        events = [event + b"\n\n" for event in self._of_bytes(data).split(b"\n\n") if event]
        return b"".join([self._one(event) for event in events])

    def _one(self, event: bytes) -> bytes:
        try:
            told = json.loads(event.removeprefix(b"data:")) if _finishes(event) else None
        except ValueError:
            told = None
        return self.event(told) if isinstance(told, dict) else event

    def event(self, event: dict[str, Any]) -> bytes:
        before, self._held = self._held, None
        if event.get("choices"):
            self._held = event
            return b"" if before is None else super().event(before)
        told = {"usage": event.get("usage")}
        return super().event(event if before is None else before | told)

    def done(self) -> bytes:
        held, self._held = self._held, None
        return (b"" if held is None else super().event(held)) + super().done()


def _finishes(data: bytes) -> bool:
    return b'"finish_reason":"' in data or b'"finish_reason": "' in data


def data(event: dict[str, Any]) -> bytes:
    """An event as SSE data. Lone surrogates, which JSON can name and UTF-8 cannot, become `?`."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode(errors="replace") + b"\n\n"

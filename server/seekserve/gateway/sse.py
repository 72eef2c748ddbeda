"""Watches an engine's event stream go by: whole events only, first token, usage, finish, [DONE].

The common event is never parsed. Inside a JSON string every quote is escaped, so a quoted key such as
`"usage"` found in the bytes is either that key or a string of exactly that text; only events that
hold one of the few telling words are looked at as JSON.

Nor is it translated anew: a stream's deltas differ in their text alone. What stands before and after
the text is translated once, around a mark, and then every delta of that form costs three comparisons.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Clock, Voice
from seekserve.gateway.events import (
    TEXT,
    error_text,
    first_event,
    has_token,
    opening_error,
    well_formed,
    without_blanks,
)
from seekserve.gateway.kept import Kept, span, without

MAX_EVENT = 4 * 1024 * 1024

_TELLING = (b'"usage"', b'"finish_reason":"', b'"finish_reason": "', b'"error"', b"[DONE]")
_FINISH = re.compile(rb'"finish_reason": ?"(\w+)"')
_MARK = b"\x1f"  # JSON escapes control characters, so no event holds it
_NEVER = os.urandom(32)  # nor does any read begin with this, whatever an engine sends
_LESSONS = 64


class Tap:
    """Feed it what was read; it returns what to send. Work per call depends on the bytes given only.

    Raises EngineBroke when an event exceeds MAX_EVENT, or has no place in what the voice told so far.
    An error that the engine reports mid-stream becomes `broke`, and so does any where something came
    before it in the same bytes: that is still to be sent, and nothing after it.
    """

    __slots__ = (  # touched by every chunk of every stream: the fewer cache lines, the better
        "_clock", "_head", "_lessons", "_middle", "_new_head", "_new_tail", "_opening", "_rest", "_tail",
        "_voice", "began", "broke", "done", "finish", "first_at", "kept", "last_at", "pieces", "said",
        "usage",
    )  # fmt: skip

    def __init__(
        self,
        voice: Voice,
        clock: Clock,
        began: Callable[[], None] = lambda: None,
        kept: Kept | None = None,
    ) -> None:
        """`began` is called when the first token goes by. `kept` takes the ids out of the events."""
        self._voice, self._clock, self.began, self.kept = voice, clock, began, kept
        self._rest = bytearray()
        self._opening: bytes | None = b""
        self._head = self._tail = self._new_head = self._new_tail = _NEVER
        self._middle = b""
        self._lessons = _LESSONS
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.finish = ""
        self.usage: dict[str, Any] | None = None
        self.pieces = 0  # events with data: about as many as tokens, where no usage tells
        self.said = False  # whether anything was passed on
        self.done = False
        self.broke: EngineBroke | None = None

    def feed(self, data: bytes) -> bytes:
        if data.startswith(self._head) and data.endswith(self._tail) and not self._rest:
            text = data[len(self._head) : -len(self._tail)]
            if self.kept is not None:
                text, _, ids = text.partition(self._middle)
                if text and ids and b'"' not in text and b'"' not in ids:
                    self.pieces += 1
                    self.kept.add(text, ids)
                    return self._new_head + text + self._new_tail
            elif text and b'"' not in text:  # two events at once would show a quote
                self.pieces += 1
                return self._new_head + text + self._new_tail
        out = self._feed(data)
        self.said = self.said or (self._opening is None and bool(out))
        return out

    def restart(self, began: Callable[[], None]) -> None:
        """Another engine begins where the one before ended: what that left half said is dropped."""
        self.began = began
        self._rest.clear()
        self._opening = None if self.said else b""
        if self.kept is not None and not self.said:
            self.kept.clear()
        self._head, self._lessons = _NEVER, _LESSONS

    def _feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        whole = self._whole(data)
        if not whole:
            return b""
        if self._opening is None:
            return self._read(whole)
        at = 0 if self._opening else first_event(whole)  # comments bridge the first silence
        quiet = self._voice.events(whole[:at]) if at else b""
        return quiet + (self._opened(self._opening, whole[at:]) if whole[at:] else b"")

    def _opened(self, before: bytes, new: bytes) -> bytes:
        """A stream opens with its first token, so that one whose engine is lost before can begin anew
        elsewhere, and nobody knows.
        """
        whole = before + new
        if not has_token(new) and len(whole) < MAX_EVENT:
            self._opening = whole
            return b""
        if error := opening_error(new):
            self._break(error)
            return b""
        self._opening = None
        self.first_at = self.first_at or self._clock()
        self.began()
        return self._read(whole)

    def _read(self, whole: bytes) -> bytes:
        raw = whole
        if self.kept is not None:
            whole = self.kept.strip(whole)
        self.pieces += whole.count(b"data:")
        at = min((i for word in _TELLING if (i := whole.find(word)) >= 0), default=-1)
        if at < 0:
            out = self._voice.events(whole)
            self._learn(raw, out)
            return out
        self._head = _NEVER
        start = whole.rfind(b"\n\n", 0, at) + 2 if b"\n\n" in whole[:at] else 0
        return self._voice.events(whole[:start]) + self._look(whole[start:])

    def _whole(self, data: bytes) -> bytes:
        """The part of all bytes so far that ends with an event's blank line."""
        if self._rest.endswith(b"\r"):  # a line's end, cut in two
            data = b"\r" + data
            del self._rest[-1]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if not self._rest:
            data = data.lstrip(b"\n")
            if data.endswith(b"\n\n"):
                return without_blanks(data)
        known = max(0, len(self._rest) - 1)
        self._rest += data
        end = self._rest.rfind(b"\n\n", known) + 2
        if end < 2:
            if len(self._rest) > MAX_EVENT:
                raise EngineBroke(f"The engine sent an event longer than {MAX_EVENT >> 20} MiB.")
            return b""
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        return without_blanks(whole)

    def _learn(self, whole: bytes, out: bytes) -> None:
        """Keeps how the last of these events is translated around its text, for those like it.

        Events that are never alike, such as those with log-probabilities, are soon given up.
        """
        start = whole.rfind(b"\n\n", 0, -2)
        event = whole[start + 2 :] if start >= 0 else whole
        if not self._voice.steady or self._still_holds(event, out):
            return
        self._head = _NEVER
        if not self._lessons or self.first_at is None:
            return
        self._lessons -= 1
        texts = list(TEXT.finditer(event))
        if len(texts) == 1:
            self._remember(event, *texts[0].span(1))

    def _remember(self, event: bytes, start: int, end: int) -> None:
        head, tail, middle = event[:start], event[end:], b""
        asked = head + _MARK + tail
        if self.kept is not None:
            ids = span(event)
            if ids is None or ids[0] < end:
                return
            middle, tail = event[end : ids[0]], event[ids[1] :]
            asked = without(asked)
        new_head, found, new_tail = self._voice.events(asked).partition(_MARK)
        if found:
            self._head, self._middle, self._tail = head, middle, tail
            self._new_head, self._new_tail = new_head, new_tail

    def _still_holds(self, event: bytes, out: bytes) -> bool:
        """Whether `event` came out as the lesson has it: a voice may have turned to another block."""
        if not (event.startswith(self._head) and event.endswith(self._tail)):
            return False
        text = event[len(self._head) : -len(self._tail)]
        if self.kept is not None:
            text = text.partition(self._middle)[0]
        return out.endswith(self._new_head + text + self._new_tail)

    def _look(self, whole: bytes) -> bytes:
        out = []
        for event in whole.split(b"\n\n"):
            if event and not (self.broke or self.done):
                try:
                    out.append(self._one(event))
                except EngineBroke as broke:  # what came before it is on its way already
                    self.broke = broke
        return b"".join(out)

    def _one(self, event: bytes) -> bytes:
        if event.removeprefix(b"data:").strip() == b"[DONE]":
            self.done, self._head = True, _NEVER
            return self._voice.done()
        if found := _FINISH.search(event):
            self.finish = found[1].decode()
            self.last_at = self._clock()
        if b'"usage"' in event or b'"error"' in event:
            return self._parsed(event)
        return self._voice.events(event + b"\n\n")

    def _parsed(self, event: bytes) -> bytes:
        try:
            told = json.loads(event.removeprefix(b"data:"))
        except ValueError:
            return self._voice.events(event + b"\n\n")
        if not well_formed(told):
            return b""
        if told.get("error"):
            self._head = _NEVER
            self._break(told["error"])
            return b""
        if not told.get("usage"):  # a text that is one of these words: told as every other delta is
            return self._voice.events(event + b"\n\n")
        self.usage = told["usage"]
        return self._voice.event(told)

    def _break(self, error: Any) -> None:
        self.broke = EngineBroke(f"The engine reported an error mid-answer: {error_text(error)}")

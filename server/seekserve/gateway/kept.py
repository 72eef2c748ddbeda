"""What is kept of a stream, so that another engine can go on with it: ids and words, as they came.

vLLM tells the ids of prompt and answer when asked (`return_token_ids`). They are cut out of its events
before these are read on. Work per event depends on the event alone; what it all comes to is only worked
out once an engine was lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_IDS = re.compile(rb',\s*"(prompt_)?token_ids":\s*(?:null|\[([\d,\s]*)\])')
_TOLD = re.compile(rb"^data:.*", re.MULTILINE)
_SAID = re.compile(rb'"(content|reasoning|text)":\s*"((?:[^"\\]|\\.)*)"')
_EMPTY = b'"delta":{},"logprobs":null,"finish_reason":null'
ASKED = b',"return_token_ids":true}'


class Kept:
    """Of one stream. `asked` is what its engine was sent; `ids` and `text` are the answer's, the text as
    JSON has it; `first` is the opening event; `lost` says that something was told which cannot be taken
    up again.
    """

    __slots__ = ("asked", "first", "ids", "lost", "prompt", "reasoning", "text")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Its request begins anew: nothing of it was told."""
        self.asked = self.prompt = b""
        self.ids, self.text = bytearray(), bytearray()
        self.first = b""
        self.reasoning = self.lost = False

    def add(self, text: bytes, ids: bytes) -> None:
        self.text += text
        self.ids += ids
        self.ids += b","

    def strip(self, whole: bytes) -> bytes:
        """Whole events without their ids, which are kept."""
        bare = _IDS.sub(self._taken, whole)
        if not self.first and (told := _TOLD.search(bare)):
            self.first = told[0]
        for event in bare.split(b"\n\n"):
            self._hear(event)
        if b'"tool_calls":[{' in bare or b'"tool_calls": [{' in bare:
            self.lost = True
        return _less_empty(bare) if _EMPTY in bare else bare

    def _hear(self, event: bytes) -> None:
        """A thought that ends within an event comes after the content there, and was thought before it."""
        said = _SAID.findall(event)
        for kind, text in sorted(said, key=_order) if len(said) > 1 else said:
            if text:
                self.text += text
                self.reasoning = kind == b"reasoning"

    def _taken(self, found: re.Match[bytes]) -> bytes:
        if found[1]:
            self.prompt = self.prompt or found[2] or b""
        elif found[2]:
            self.ids += found[2]
            self.ids += b","
        return b""

    def cut(self, ids: Sequence[int]) -> None:
        """The last ids came to no text that could be told: they are made anew."""
        self.ids = bytearray(b"".join(b"%d," % number for number in ids))

    @property
    def prompt_ids(self) -> list[int]:
        return _numbers(self.prompt)

    @property
    def answer_ids(self) -> list[int]:
        return _numbers(self.ids)

    @property
    def count(self) -> int:
        """Tokens of the answer."""
        return self.ids.count(b",")

    @property
    def told(self) -> str:
        """All that the answer said so far."""
        told: str = json.loads(b'"%b"' % bytes(self.text))
        return told


def lost(asked: dict[str, Any], kept: Kept) -> str:
    """Why a stream cannot go on; "" when it may be tried."""
    kind = (asked.get("response_format") or {}).get("type", "text")
    if kind != "text" or asked.get("structured_outputs"):
        return "its answer is held to a form, which no engine takes up half-way"
    if kept.lost or asked.get("tool_choice") not in (None, "auto", "none"):
        return "a tool call was under way"
    if asked.get("echo") or not kept.prompt or not kept.ids:
        return "the engine did not tell the tokens of its answer"
    return ""


def _order(said: tuple[bytes, bytes]) -> bool:
    return said[0] != b"reasoning"


def _less_empty(whole: bytes) -> bytes:
    """Events less those that only told an id: without being asked for ids, vLLM does not send them."""
    return b"".join([e + b"\n\n" for e in whole.split(b"\n\n") if e and _EMPTY not in e])


def span(event: bytes) -> tuple[int, int] | None:
    """Where the digits of an event's answer ids stand; None where it has none."""
    found = [match for match in _IDS.finditer(event) if not match[1] and match[2]]
    return found[0].span(2) if len(found) == 1 else None


def without(event: bytes) -> bytes:
    """An event less its ids, which are not kept."""
    return _IDS.sub(b"", event)


def _numbers(digits: bytes | bytearray) -> list[int]:
    return [int(number) for number in digits.split(b",") if number.strip()]

"""Chat answers that the engine gives as texts: it went on from a beginning that was rendered for it.

Reasoning ends at `</think>` inside the text; what is told of it is what a chat answer tells. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any

from seekserve.dialect import logprobs
from seekserve.dialect.finish import finish
from seekserve.dialect.stream import DONE, data
from seekserve.dialect.usage import usage
from seekserve.errors import Refusal

Body = dict[str, Any]
_PLAIN = re.compile(
    rb'"choices":\s*\[\{"index":\s*(\d+),\s*"text":\s*"([^"\\]*(?:\\.[^"\\]*)*)",'
    rb'\s*"logprobs":\s*null,\s*"finish_reason":\s*null'
)
_SLOT = b'"content":""'


class Continued:
    """The accent. `thinks` says that the text begins inside the reasoning."""

    path = "/v1/completions"

    def __init__(self, thinks: bool) -> None:
        self._thinks = thinks

    def voice(self, show_usage: bool) -> Stream:
        return Stream(self._thinks, show_usage)

    def answer(self, answer: Body) -> Body:
        choices = [self._choice(choice) for choice in answer.get("choices") or ()]
        told = {"choices": choices, "usage": usage(answer.get("usage") or {})}
        return _head(answer, "chat.completion") | told

    def _choice(self, choice: Body) -> Body:
        thought, content, still = _parted(choice, self._thinks)
        message: Body = {"role": "assistant", "content": content}
        if thought:
            message["reasoning_content"] = thought
        return _told(choice, {"message": message}, still)


class Stream:
    """A voice. Its state is which choices have begun, and which are past their reasoning."""

    def __init__(self, thinks: bool, show_usage: bool) -> None:
        self._thinks, self._show_usage = thinks, show_usage
        self.steady = not thinks  # the end of the reasoning is inside a text
        self._begun: set[int] = set()
        self._answering: set[int] = set()
        self._frames: dict[bytes, tuple[bytes, bytes]] = {}

    def events(self, data: bytes) -> bytes:
        return b"".join([self._one(event) for event in data.split(b"\n\n") if event])

    def event(self, event: Body) -> bytes:
        out = [self._choice(event, choice) for choice in event.get("choices") or ()]
        if event.get("usage") and self._show_usage:
            counts = {"choices": [], "usage": usage(event["usage"])}
            out.append(data(_head(event, "chat.completion.chunk") | counts))
        return b"".join(out)

    def done(self) -> bytes:
        return DONE

    def failed(self, refusal: Refusal) -> bytes:
        return b"data: " + refusal.envelope() + b"\n\n"

    def _one(self, event: bytes) -> bytes:
        """A plain piece of an answer that has begun is set, undecoded, into the frame of the first."""
        found = _PLAIN.search(event)
        if found and found[1] in self._frames:
            before, after = self._frames[found[1]]
            return before + found[2] + after if found[2] else b""
        if event.startswith(b":"):
            return event + b"\n\n"
        try:
            told = json.loads(event.removeprefix(b"data:"))
        except ValueError:
            return b""
        return self.event(told) if isinstance(told, dict) else b""

    def _choice(self, event: Body, choice: Body) -> bytes:
        index = choice.get("index", 0)
        thinks = self._thinks and index not in self._answering
        thought, content, still = _parted(choice, thinks)
        head = _head(event, "chat.completion.chunk")
        if not still:
            self._answering.add(index)
            self._frames.setdefault(str(index).encode(), _frame(head, index))
        deltas: list[Body] = [] if index in self._begun else [{"role": "assistant", "content": ""}]
        self._begun.add(index)
        deltas += [{"reasoning_content": thought}] if thought else []
        deltas += [{"content": content}] if content else []
        if choice.get("finish_reason") and not (thought or content):
            deltas.append({})
        *early, last = deltas or [{}]
        told = [_told({"index": index}, {"delta": delta}, still) for delta in early]
        told.append(_told(choice, {"delta": last}, still))
        return b"".join(data(head | {"choices": [one]}) for one in told) if deltas else b""


def _parted(choice: Body, thinks: bool) -> tuple[str, str, bool]:
    """(reasoning, answer, whether it is still reasoning) of one text."""
    text = str(choice.get("text") or "")
    if not thinks:
        return "", text, False
    thought, closed, content = text.partition(logprobs.END)
    return thought, content, not closed


def _told(choice: Body, said: Body, thought: bool) -> Body:
    return (
        {"index": choice.get("index", 0)}
        | said
        | {
            "finish_reason": finish(choice.get("finish_reason")),
            "logprobs": logprobs.of_completion(choice.get("logprobs"), thought),
        }
    )


def _frame(head: Body, index: int) -> tuple[bytes, bytes]:
    """What stands before and after the text of a delta."""
    whole = data(head | {"choices": [_told({"index": index}, {"delta": {"content": ""}}, False)]})
    at = whole.rindex(_SLOT) + len(_SLOT) - 1
    return whole[:at], whole[at:]


def _head(told: Body, kind: str) -> Body:
    id_ = str(told.get("id") or "").removeprefix("cmpl-")
    known = ("created", "model", "system_fingerprint")
    known_told = {name: told[name] for name in known if told.get(name) is not None}
    return {"id": f"chatcmpl-{id_}", "object": kind} | known_told

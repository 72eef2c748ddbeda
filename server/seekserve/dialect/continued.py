"""Chat answers that the engine gives as texts: it went on from a beginning that was rendered for it.

Reasoning ends at `</think>` inside the text; what is told of it is what a chat answer tells. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from seekserve.dialect import logprobs
from seekserve.dialect.finish import finish
from seekserve.dialect.stream import DONE, UsageLast, data
from seekserve.dialect.usage import usage
from seekserve.errors import Refusal

Body = dict[str, Any]
_PLAIN = re.compile(
    rb'"choices":\s*\[\{"index":\s*(\d+),\s*"text":\s*"([^"\\]*(?:\\.[^"\\]*)*)",'
    rb'\s*"logprobs":\s*null,\s*"finish_reason":\s*null[^{}]*\}\s*\]'
)
"""An event with one piece of one text."""
_SLOT = b'"content":""'


class Continued:
    """The accent. `thinks`: the text begins inside the reasoning; `stops`: tell the stop string met."""

    path = "/v1/completions"

    def __init__(self, thinks: bool, usage_last: bool = False, stops: bool = False) -> None:
        self._thinks, self._usage_last, self._stops = thinks, usage_last, stops

    def voice(self, show_usage: bool) -> Stream | Through:
        if not self._usage_last:
            return Stream(self._thinks, show_usage)
        return Through(Stream(self._thinks), UsageLast(_as_it_is, _as_it_is, show_usage))

    def answer(self, answer: Body) -> Body:
        choices = [self._choice(choice) for choice in answer.get("choices") or ()]
        told = {"choices": choices, "usage": _counts(answer, self._thinks)}
        return _head(answer, "chat.completion") | told

    def _choice(self, choice: Body) -> Body:
        thought, content = _parted(str(choice.get("text") or ""), self._thinks)
        message: Body = {"role": "assistant", "content": content or ""}
        if thought:
            message["reasoning_content"] = thought
        told = _told(choice, {"message": message}, self._thinks, content is not None)
        return told | _stopped(choice) if self._stops else told


class Stream:
    """A voice. Its state is which choices have begun, which are past their reasoning, and what of a
    text may yet turn out to be the end of it.
    """

    def __init__(self, thinks: bool, show_usage: bool = False, stops: bool = False) -> None:
        self._thinks, self._show_usage, self._stops = thinks, show_usage, stops
        self.steady = not thinks  # the end of the reasoning is inside a text
        self._begun: set[int] = set()
        self._answering: set[int] = set()
        self._held: dict[int, str] = {}
        self._frames: dict[bytes, tuple[bytes, bytes]] = {}

    def events(self, data: bytes) -> bytes:
        return b"".join([self._one(event) for event in data.split(b"\n\n") if event])

    def event(self, event: Body) -> bytes:
        out = [self._choice(event, choice) for choice in event.get("choices") or ()]
        if event.get("usage") and self._show_usage:
            out.append(data(counts(event, self._thinks)))
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
        thought, content = _parted(self._text(index, choice, thinks), thinks)
        head = _head(event, "chat.completion.chunk")
        if content is not None:
            self._answering.add(index)
            self._frames.setdefault(str(index).encode(), _frame(head, index))
        deltas: list[Body] = [] if index in self._begun else [{"role": "assistant", "content": ""}]
        self._begun.add(index)
        deltas += [{"reasoning_content": thought}] if thought else []
        deltas += [{"content": content}] if content else []
        if (choice.get("finish_reason") or choice.get("logprobs")) and not (thought or content):
            deltas.append({})
        told = [_told({"index": index}, {"delta": delta}) for delta in deltas[:-1]]
        told += [_told(choice, {"delta": d}, thinks, content is not None) for d in deltas[-1:]]
        if self._stops and told:
            told[-1] |= _stopped(choice)
        return b"".join(data(head | {"choices": [one]}) for one in told)

    def _text(self, index: int, choice: Body, thinks: bool) -> str:
        """What can be told now: the mark may come in pieces, as where stop strings are looked for."""
        text = self._held.pop(index, "") + str(choice.get("text") or "")
        held = _half(text) if thinks and not choice.get("finish_reason") else ""
        if held:
            self._held[index] = held
        return text.removesuffix(held)


class Voice(Protocol):
    """As in `gateway.ask`."""

    def events(self, data: bytes) -> bytes: ...
    def event(self, event: Body) -> bytes: ...
    def done(self) -> bytes: ...
    def failed(self, refusal: Refusal) -> bytes: ...


class Through:
    """A voice that tells what another made of the engine's texts."""

    steady = False

    def __init__(self, texts: Stream, teller: Voice) -> None:
        self._texts, self._teller = texts, teller
        self.done, self.failed = teller.done, teller.failed

    def events(self, data: bytes) -> bytes:
        return self._teller.events(self._texts.events(data))

    def event(self, event: Body) -> bytes:
        told = self._teller.events(self._texts.event(event))
        return told + self._teller.event(counts(event)) if event.get("usage") else told


def counts(event: Body, thinks: bool = False) -> Body:
    """The event that tells an answer's usage."""
    told = {"choices": [], "usage": _counts(event, thinks)}
    return _head(event, "chat.completion.chunk") | told


def _counts(told: Body, thinks: bool) -> Body:
    """The usage. The engine does not tell a text's reasoning from its answer: that count is left out."""
    counted = usage(told.get("usage") or {})
    return {k: v for k, v in counted.items() if not (thinks and k == "completion_tokens_details")}


def _as_it_is(told: Any) -> Any:
    return told


def _parted(text: str, thinks: bool) -> tuple[str, str | None]:
    """The reasoning and the answer in one text; None while there is no answer yet."""
    if not thinks:
        return "", text
    thought, closed, content = text.partition(logprobs.END)
    return thought, content if closed else None


def _half(text: str) -> str:
    """What at the end of a text may be the first part of the mark."""
    if logprobs.END in text:
        return ""
    parts = (logprobs.END[:size] for size in range(len(logprobs.END) - 1, 0, -1))
    return next((part for part in parts if text.endswith(part)), "")


def _told(choice: Body, said: Body, thinks: bool = False, answered: bool = True) -> Body:
    told = logprobs.of_completion(choice.get("logprobs"))
    return (
        {"index": choice.get("index", 0)}
        | said
        | {
            "finish_reason": finish(choice.get("finish_reason")),
            "logprobs": logprobs.told_apart(told, thinks, answered),
        }
    )


def _stopped(choice: Body) -> Body:
    """Kept from chat's clients, who do not know it."""
    return {"stop_reason": choice.get("stop_reason")}


def _frame(head: Body, index: int) -> tuple[bytes, bytes]:
    """What stands before and after the text of a delta."""
    whole = data(head | {"choices": [_told({"index": index}, {"delta": {"content": ""}})]})
    at = whole.rindex(_SLOT) + len(_SLOT) - 1
    return whole[:at], whole[at:]


def _head(told: Body, kind: str) -> Body:
    id_ = str(told.get("id") or "").removeprefix("cmpl-")
    known = ("created", "model", "system_fingerprint")
    known_told = {name: told[name] for name in known if told.get(name) is not None}
    return {"id": f"chatcmpl-{id_}", "object": kind} | known_told

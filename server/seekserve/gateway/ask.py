"""What the gateway needs to know of a request, whatever dialect it came in. A value."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from seekserve.errors import BadRequest, Refusal
from seekserve.gateway.sizes import Wish


class Voice(Protocol):
    """One stream in a client's own API: engine events in, the client's bytes out. May keep state.

    It is called in the order of the engine's events, and its work may not grow with what came before.
    """

    steady: bool
    """Whether deltas alike but for their text are told alike; a voice that numbers its events is not."""

    def events(self, data: bytes) -> bytes:
        """Whole SSE events of the engine that hold deltas alone, in the client's words.

        A steady voice's deltas that are alike but for their text are translated once, around a mark,
        and not shown to it again: what it answers to such an event may depend on nothing else that changes.
        It may turn (end one block, begin the next) at an event of another kind: then it is asked anew.
        """

    def event(self, event: dict[str, Any]) -> bytes:
        """One parsed event: the few that carry usage."""

    def done(self) -> bytes:
        """What ends a stream that went well."""

    def failed(self, refusal: Refusal) -> bytes:
        """What tells of a failure after the first byte."""


@runtime_checkable
class Pinging(Protocol):
    """A voice whose API has an event of its own for silences; the others are bridged by comments."""

    def silence(self) -> bytes:
        """What bridges a silence now."""


class Accent(Protocol):
    """How one API turns the engine's answers into its own. All pure."""

    path: str
    """The engine's route, such as /v1/chat/completions."""

    def voice(self, show_usage: bool) -> Voice:
        """For one stream; `show_usage` as the client asked."""

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole answer, fields the client's API does not know left out."""


Steps = Generator[tuple[str, dict[str, Any]], dict[str, Any], dict[str, Any]]
"""Yields (path, body) of a call to the engine, is sent its answer, and returns the request proper."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, checked and translated. `body` is the JSON for the engine; where it takes other
    calls to know that, `steps` makes them. An `aside` is answered without generating anything. `size`
    is in bytes, `most` in tokens over all `sequences`.
    """

    model: str
    body: bytes
    stream: bool
    show_usage: bool
    accent: Accent
    steps: Callable[[], Steps] | None = None
    aside: bool = False
    size: int = 0
    most: int = 1
    sequences: int = 1

    def wish(self, key: str, key_class: str) -> Wish:
        """What admission is to know of it."""
        size, body = self.size, self.body
        return Wish(self.model, key, key_class, size, self.most, self.sequences, self.stream, body)


Clock = Callable[[], float]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encoded(wanted: dict[str, Any]) -> bytes:
    """The engine's request as JSON. Raises BadRequest for what JSON has no form for."""
    try:
        return _encode(wanted).encode()
    except ValueError as error:  # a lone surrogate, or NaN inside a schema
        raise BadRequest("The body holds text or numbers that JSON cannot carry.") from error

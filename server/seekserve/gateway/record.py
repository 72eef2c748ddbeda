"""What is known of one request while it lives: its own task alone writes it, and whoever books it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Scope

from seekserve.errors import Refusal
from seekserve.gateway.context import Context

CLIENT_GONE = 499

Shape = Callable[[Refusal, str], bytes]
"""A refusal and the request's id -> the body that tells it, in the words of some API."""


@dataclass(slots=True)
class Try:
    """A request's wait for a place at an engine, and what came of it there; times are perf_counter's.

    `context` is what the engine is told. `how` is again or continued where another engine failed before,
    `failure` says in a word how this one did. `pieces` are events of a stream.
    """

    context: Context | None
    asked: float
    how: str = "first"
    engine: str = ""
    placed: float | None = None
    began: float | None = None
    ended: float | None = None
    pieces: int = 0
    failure: str = ""


@dataclass(slots=True)
class Trace:
    """What is known of one request. The request's own task alone writes it."""

    id: str
    started: float
    engine_id: str
    shape: Shape | None = None
    method: str = ""
    path: str = ""
    """Of a route that has one path; others hold what clients choose."""
    parent: Context | None = None
    """Where the client says that it comes from."""
    context: Context | None = None
    """The request's own place in that trace, or in one of ours; None while no spans are exported."""
    route: str = "other"
    key: str = ""
    key_class: str = ""
    model: str = ""
    status: int = 0
    finish: str = ""
    reason: str = ""
    engine: str = ""
    queue_s: float | None = None
    expected_s: float = 0.0
    again: int = 0
    continued: int = 0
    first_at: float | None = None
    last_at: float | None = None
    streams: bool = False
    most: int = 0
    response: str = ""
    tries: list[Try] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What every answer to it tells besides its own, once known."""

    def told(self, refusal: Refusal) -> bytes:
        """The body of a refusal, in the shape that this path's clients read."""
        return self.shape(refusal, self.id) if self.shape else refusal.envelope()

    def refused(self, refusal: Refusal) -> None:
        self.status, self.reason = refusal.status, refusal.code or refusal.type

    def turn(self, now: float, how: str) -> Try:
        """One more try begins. Where nothing is exported the engine is told what the client said: a span
        that nobody ever sees would cut what is below it off.
        """
        context = self.context.child() if self.context else self.parent
        self.tries.append(turn := Try(context, now, how))
        return turn


def trace_of(scope: Scope) -> Trace:
    trace: Trace = scope["trace"]
    return trace

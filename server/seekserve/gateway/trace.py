"""The outermost ASGI layer: a request's id, clock, in-flight count, metrics and one log line.

It is also the last line of defence: what nobody handled becomes a bare 500 and a log line that names
the place in the code, never the exception's text, which may hold a prompt.
"""

from __future__ import annotations

import math
import re
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seekserve.errors import Internal, Refusal
from seekserve.log import Log
from seekserve.metrics import TOKEN_KINDS, Metrics

CLIENT_GONE = 499
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUIET = ("ops", "health")
TELLING_WAIT_S = 0.5

Shape = Callable[[Refusal, str], bytes]
"""A refusal and the request's id -> the body that tells it, in the words of some API."""


@dataclass(slots=True)
class Trace:
    """What is known of one request. The request's own task alone writes it."""

    id: str
    started: float
    engine_id: str
    shape: Shape | None = None
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
    tokens: dict[str, int] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What every answer to it tells besides its own, once known."""

    def told(self, refusal: Refusal) -> bytes:
        """The body of a refusal, in the shape that this path's clients read."""
        return self.shape(refusal, self.id) if self.shape else refusal.envelope()

    def refused(self, refusal: Refusal) -> None:
        self.status, self.reason = refusal.status, refusal.code or refusal.type


class Tracing:
    """ASGI middleware. `shapes` names the paths whose refusals are told in another shape than OpenAI's.
    `settled` is told of every request that is over, and of its seconds. `dues` are the seconds in which
    a class is to have its first token.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        log: Log,
        shapes: Callable[[str], Shape | None] = lambda path: None,
        settled: Callable[[Trace, float], None] = lambda trace, duration_s: None,
        dues: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._app, self._metrics, self._log, self._shapes = app, metrics, log, shapes
        self._settled, self._dues = settled, dues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unique = secrets.token_hex(16)
        shape = self._shapes(scope["path"])
        trace = Trace(_given_id(scope) or unique, time.perf_counter(), unique, shape)
        scope["trace"] = trace
        started = False

        async def send_traced(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                trace.status = trace.status or message["status"]
                message["headers"] = [*message["headers"], *_id_headers(trace), *trace.headers]
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, send_traced)
        except Exception as error:  # noqa: BLE001  the outermost layer: nothing may pass it
            self._log.event("defect", id=trace.id, kind=type(error).__name__, at=_place(error))
            if not started:
                await refuse(
                    Internal(f"Internal error; quote request {trace.id}."), scope, send_traced
                )
        finally:
            self._metrics.in_flight -= 1
            self._settle(trace, time.perf_counter() - trace.started)

    def _settle(self, trace: Trace, duration_s: float) -> None:
        self._settled(trace, duration_s)
        metrics = self._metrics
        status = str(trace.status or CLIENT_GONE)
        metrics.requests.labels(trace.route, trace.model, status, trace.finish).inc()
        if trace.reason:
            metrics.rejections.labels(trace.reason, trace.key_class).inc()
        for how, times in (("again", trace.again), ("continued", trace.continued)):
            if times:
                metrics.failovers.labels(trace.model, how).inc(times)
        if trace.route in _QUIET:
            return
        whose = (trace.model, trace.key_class)
        metrics.duration.labels(trace.route, trace.model).observe(duration_s)
        if trace.queue_s is not None:
            metrics.queue_wait.labels(*whose).observe(trace.queue_s)
            if trace.expected_s and trace.queue_s >= TELLING_WAIT_S:
                ratio = trace.expected_s / trace.queue_s
                metrics.wait_error.labels(trace.key_class).observe(ratio)
        if trace.first_at is not None:
            first_s = trace.first_at - trace.started
            metrics.ttft.labels(*whose).observe(first_s)
            metrics.late.labels(*whose).inc(first_s > self._dues.get(trace.key_class, math.inf))
        if pace := _pace(trace):
            metrics.tpot.labels(*whose).observe(pace)
        for kind in TOKEN_KINDS:
            if count := trace.tokens.get(kind):
                metrics.tokens[kind].labels(*whose).inc(count)
        self._log_line(trace, status, duration_s)

    def _log_line(self, trace: Trace, status: str, duration_s: float) -> None:
        first_s = trace.first_at - trace.started if trace.first_at is not None else None
        self._log.event(
            "request",
            id=trace.id,
            route=trace.route,
            status=int(status),
            model=trace.model or None,
            engine=trace.engine or None,
            again=trace.again or None,
            continued=trace.continued or None,
            finish=trace.finish or None,
            reason=trace.reason or None,
            prompt=trace.tokens.get("prompt"),
            completion=trace.tokens.get("completion"),
            queue_s=trace.queue_s or None,
            expected_s=trace.expected_s or None,
            first_s=first_s,
            total_s=duration_s,
        )


async def refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    """Sends a refusal as the whole answer, and books it on the request's trace."""
    trace = trace_of(scope)
    trace.refused(refusal)
    body = trace.told(refusal)
    headers = refusal.headers(len(body))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def trace_of(scope: Scope) -> Trace:
    trace: Trace = scope["trace"]
    return trace


def _id_headers(trace: Trace) -> list[tuple[bytes, bytes]]:
    """Anthropic's clients read their own name for it; they are those with another shape."""
    names = [b"x-request-id", b"request-id"] if trace.shape else [b"x-request-id"]
    return [(name, trace.id.encode()) for name in names]


def _pace(trace: Trace) -> float | None:
    """Seconds per token after the first, where the stream was long enough to say."""
    made = trace.tokens.get("completion", 0)
    if trace.first_at is None or trace.last_at is None or made < 2:
        return None
    return (trace.last_at - trace.first_at) / (made - 1)


def _given_id(scope: Scope) -> str | None:
    """The client's X-Request-Id, where it is one that can safely be repeated.

    It is the client's to choose, so it need not be unique: the engine gets an id of ours.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if _ID.fullmatch(given) else None
    return None


def _place(error: BaseException) -> str:
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"

"""The outermost ASGI layer: a request's id, clock, in-flight count, metrics and one log line.

It is also the last line of defence: what nobody handled becomes a bare 500 and a log line that names
the place in the code, never the exception's text, which may hold a prompt.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seekserve.defects import place
from seekserve.errors import Internal, Refusal
from seekserve.gateway.booked import QUIET, book
from seekserve.gateway.context import Context, Headers, read
from seekserve.gateway.record import CLIENT_GONE, Shape, Trace, trace_of
from seekserve.log import Log
from seekserve.metrics import Metrics

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

Enter = Callable[[Context | None, str], Context | None]
"""The client's place in a trace, and an id of ours -> the request's own; None while nothing is exported."""


class Tracing:
    """ASGI middleware. `shapes` names the paths whose refusals are told in another shape than OpenAI's.
    `settled` is told of every request that is over, and of its seconds; `enter` says where in a
    distributed trace one stands. `dues` are the seconds in which a class is to have its first token.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        log: Log,
        shapes: Callable[[str], Shape | None] = lambda path: None,
        settled: Callable[[Trace, float], None] = lambda trace, duration_s: None,
        enter: Enter = lambda parent, unique: None,
        dues: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._app, self._metrics, self._log, self._shapes = app, metrics, log, shapes
        self._settled, self._enter, self._dues = settled, enter, dues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = scope["trace"] = self._begun(scope)
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
            self._log.event("defect", id=trace.id, kind=type(error).__name__, at=place(error))
            if not started:
                await refuse(
                    Internal(f"Internal error; quote request {trace.id}."), scope, send_traced
                )
        finally:
            self._metrics.in_flight -= 1
            self._settle(trace, time.perf_counter() - trace.started)

    def _begun(self, scope: Scope) -> Trace:
        started, unique = time.perf_counter(), secrets.token_hex(16)
        shape = self._shapes(scope["path"])
        trace = Trace(_given_id(scope["headers"]) or unique, started, unique, shape)
        trace.method = scope.get("method", "")
        trace.parent = read(scope["headers"])
        trace.context = self._enter(trace.parent, unique)
        return trace

    def _settle(self, trace: Trace, duration_s: float) -> None:
        self._settled(trace, duration_s)
        status = trace.status or CLIENT_GONE
        book(self._metrics, trace, status, duration_s, self._dues)
        if trace.route not in QUIET:
            self._log_line(trace, status, duration_s)

    def _log_line(self, trace: Trace, status: int, duration_s: float) -> None:
        first_s = trace.first_at - trace.started if trace.first_at is not None else None
        self._log.event(
            "request",
            id=trace.id,
            trace=at.trace if (at := trace.context or trace.parent) else None,
            route=trace.route,
            status=status,
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


def _id_headers(trace: Trace) -> list[tuple[bytes, bytes]]:
    """Anthropic's clients read their own name for it; they are those with another shape."""
    names = [b"x-request-id", b"request-id"] if trace.shape else [b"x-request-id"]
    return [(name, trace.id.encode()) for name in names]


def _given_id(headers: Headers) -> str | None:
    """The client's X-Request-Id, where it is one that can safely be repeated.

    It is the client's to choose, so it need not be unique: the engine gets an id of ours.
    """
    for name, value in headers:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            return given if _ID.fullmatch(given) else None
    return None

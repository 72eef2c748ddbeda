"""A request that is over, as spans: itself, each wait in line, each try at an engine and its stream. Pure.

Attributes have OpenTelemetry's names where its semantic conventions have one (http, url, gen_ai), and
`seekserve.` before them else. They say what the access log says: never a prompt, a key or an address.
What was used stands on the request's span alone, so that nobody adds it up twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seekserve.gateway.booked import QUIET
from seekserve.gateway.context import Context
from seekserve.gateway.record import CLIENT_GONE, Trace, Try

Kind = Literal["server", "client", "internal"]
Fact = str | int | float | bool | list[str]

OPERATIONS = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""Our routes -> what gen_ai.operation.name calls them."""
METHODS = frozenset("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE".split())
UNKNOWN = "other"


@dataclass(frozen=True, slots=True)
class Span:
    """Times are perf_counter's. `error` says in a word why it failed; `events` are names and times."""

    name: str
    kind: Kind
    id: str
    parent: str
    start: float
    end: float
    facts: Mapping[str, Fact]
    error: str = ""
    events: tuple[tuple[str, float], ...] = ()


def spans_of(trace: Trace, total_s: float) -> list[Span]:
    """None where nobody wants them: of what was not sampled, and of probes."""
    own = trace.context
    if own is None or not own.sampled or trace.route in QUIET:
        return []
    end = trace.started + total_s
    made = [_whole(trace, own.span, end)]
    for turn in trace.tries:
        made.append(_queue(trace, own, turn, end))
        if turn.placed is not None and turn.context is not None:
            made += _engine(trace, own, turn, (turn.context.span, turn.placed), end)
    return made


def _whole(trace: Trace, own: str, end: float) -> Span:
    method, path = trace.method if trace.method in METHODS else "_OTHER", trace.path or None
    status = trace.status or CLIENT_GONE
    facts: dict[str, Fact | None] = {
        "http.request.method": method,
        "http.route": path,
        "url.path": path,
        "http.response.status_code": status,
        "error.type": _fault(trace, status) or None,
        **_generation(trace),
        "seekserve.request_id": trace.id,
        "seekserve.engine_request_id": trace.engine_id if trace.tries else None,
        "seekserve.route": trace.route,
        "seekserve.class": trace.key_class or None,
        "seekserve.key": trace.key or None,
    }
    called = path or ("" if trace.route == UNKNOWN else trace.route)
    name = f"{'HTTP' if method == '_OTHER' else method} {called}".rstrip()
    parent = trace.parent.span if trace.parent else ""
    wrong = _fault(trace, status) if status >= 500 or (status < 400 and trace.reason) else ""
    return Span(name, "server", own, parent, trace.started, end, _known(facts), wrong)


def _fault(trace: Trace, status: int) -> str:
    """Of a refusal, or of an answer that broke off after its status was told."""
    if status == CLIENT_GONE:
        return "client_gone"
    return trace.reason or (str(status) if status >= 500 else "")


def _generation(trace: Trace) -> dict[str, Fact | None]:
    if (operation := OPERATIONS.get(trace.route)) is None:
        return {}
    tokens, first = trace.tokens, trace.first_at
    ended = trace.finish and trace.status != CLIENT_GONE
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": trace.model or None,
        "gen_ai.request.max_tokens": (trace.most or None) if operation != "embeddings" else None,
        "gen_ai.request.stream": trace.streams or None,
        "gen_ai.response.finish_reasons": [trace.finish] if ended else None,
        "gen_ai.response.id": trace.response or None,
        "gen_ai.response.time_to_first_chunk": None if first is None else first - trace.started,
        "gen_ai.usage.input_tokens": tokens.get("prompt"),
        "gen_ai.usage.output_tokens": tokens.get("completion"),
        "gen_ai.usage.cache_read.input_tokens": tokens.get("cached"),
        "gen_ai.usage.reasoning.output_tokens": tokens.get("reasoning"),
    }


def _queue(trace: Trace, own: Context, turn: Try, end: float) -> Span:
    """The wait in line for a place, and how it was refused where none came."""
    until = end if turn.placed is None else turn.placed
    wrong = _fault(trace, trace.status or CLIENT_GONE) if turn.placed is None else ""
    facts = {"seekserve.expected_s": trace.expected_s or None, "error.type": wrong or None}
    span = own.child().span
    return Span("queue", "internal", span, own.span, turn.asked, until, _known(facts), wrong)


def _engine(
    trace: Trace, own: Context, turn: Try, sent: tuple[str, float], end: float
) -> list[Span]:
    """One try, by the id and at the time that it was `sent`; and below it the stream, if one began."""
    (span, placed), ended, wrong = sent, turn.ended or end, turn.failure
    facts: dict[str, Fact | None] = {
        "seekserve.engine": turn.engine,
        "seekserve.try": turn.how,
        "gen_ai.request.model": trace.model or None,
        "error.type": wrong or None,
    }
    heard = () if turn.began is None else (("first token", turn.began),)
    made = [Span("engine", "client", span, own.span, placed, ended, _known(facts), wrong, heard)]
    if turn.began is not None:
        told = _known({"seekserve.pieces": turn.pieces, "error.type": wrong or None})
        flow = own.child().span
        made.append(Span("stream", "internal", flow, span, turn.began, ended, told, wrong))
    return made


def _known(facts: Mapping[str, Fact | None]) -> dict[str, Fact]:
    return {name: fact for name, fact in facts.items() if fact is not None}

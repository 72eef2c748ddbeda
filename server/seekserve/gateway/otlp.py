"""Spans on their way to a collector: the one door to OpenTelemetry's SDK, which is an extra (`otel`).

The SDK's own thread sends them in batches from a bounded line. A collector that is slow, down or in error
costs requests nothing: spans are lost then, which is told once, and once more when it is over. Where to,
how many and what of is said by OpenTelemetry's variables (OTEL_...), which the SDK reads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Self

from opentelemetry import trace as otel
from opentelemetry.context import Context as Here
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from seekserve import __version__
from seekserve.gateway.context import SAMPLED, Context, span_id
from seekserve.gateway.record import Trace
from seekserve.gateway.spans import Span, spans_of
from seekserve.log import Log

FLUSH_S = 2.0
GIVEN_UP_S = 0.2  # for what is lost to be told
LOOK_S = 0.02
NAMELESS = "unknown_service"
SPOKEN = "http/protobuf"
SECRETIVE = "opentelemetry.util.re"  # reads headers, and repeats one that is malformed, key and all
KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
SCOPE = InstrumentationScope("seekserve", __version__)
_CODE = re.compile(r"code: (\d{3})")


class Otlp:
    """`async with` it: on the way out what waits is sent, for FLUSH_S at most. The event loop's alone.

    Raises ValueError for variables that the SDK cannot go by.
    """

    def __init__(self, log: Log) -> None:
        self._words = Words(log)
        try:
            provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
            self._sampler, self._resource = provider.sampler, provider.resource
            self._exporter = Told(OTLPSpanExporter(), self._words, log)
            self._processor = BatchSpanProcessor(self._exporter)
        except Exception:
            self._words.leave()
            raise
        if (asked := _protocol(os.environ)) != SPOKEN:
            log.event("spans_protocol", asked=asked[:40], spoken=SPOKEN)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        thread = threading.Thread(target=self._processor.shutdown, name="spans", daemon=True)
        thread.start()  # not the loop's executor, whose threads an exit waits for
        if not await _ended(thread, FLUSH_S):
            self._exporter.shutdown()
            await _ended(thread, GIVEN_UP_S)
        self._words.leave()

    def enter(self, parent: Context | None, unique: str) -> Context:
        """A request's own place: in the trace that its client named, or at the root of one that has the
        id by which its engine knows it, 32 hexadecimal digits.
        """
        trace = parent.trace if parent else unique
        above = Here() if parent is None else otel.set_span_in_context(_seen(parent), Here())
        number = int(trace, 16)
        chosen = self._sampler.should_sample(above, number, "request", SpanKind.SERVER)
        flags = parent.flags & ~SAMPLED if parent else 0
        if chosen.decision is Decision.RECORD_AND_SAMPLE:
            flags |= SAMPLED
        return Context(trace, span_id(), flags, parent.state if parent else "")

    def settle(self, trace: Trace, total_s: float) -> None:
        """A request is over: its spans go into the line."""
        for span in self.readable(trace, total_s):
            self._processor.on_end(span)

    def readable(self, trace: Trace, total_s: float) -> list[ReadableSpan]:
        """A request's spans, as the SDK has them."""
        made = spans_of(trace, total_s)
        if not made or trace.context is None:
            return []
        offset = time.time_ns() - int(time.perf_counter() * 1e9)
        within, state = int(trace.context.trace, 16), None
        if trace.context.state:
            state = TraceState.from_header([trace.context.state])
        return [self._readable(span, within, state, offset) for span in made]

    def _readable(
        self, span: Span, trace: int, state: TraceState | None, offset: int
    ) -> ReadableSpan:
        """Made whole, since all of it is over: a live span would cost its locks and limits."""

        def at(seconds: float) -> int:
            return offset + int(seconds * 1e9)

        sampled, remote = TraceFlags(SAMPLED), span.kind == "server"
        above = int(span.parent, 16) if span.parent else 0
        return ReadableSpan(
            span.name,
            SpanContext(trace, int(span.id, 16), False, sampled, state),
            SpanContext(trace, above, remote, sampled, state) if above else None,
            self._resource,
            span.facts,
            [Event(name, timestamp=at(when)) for name, when in span.events],
            kind=KINDS[span.kind],
            status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET, span.error or None),
            start_time=at(span.start),
            end_time=at(span.end),
            instrumentation_scope=SCOPE,
        )


class Words(logging.Handler):
    """What the SDK says of itself: a failed batch by its status alone, all else once and on one line."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log, self._said = log, set[str]()
        self.status = ""
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self)
        self._logger.propagate = False  # what others would make of it has stack traces

    def leave(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        said = str(record.msg) if record.name == SECRETIVE else record.getMessage()
        if record.name.startswith("opentelemetry.exporter"):
            found = _CODE.search(said)
            self.status = found[1] if found else self.status
        elif str(record.msg) not in self._said:
            self._said.add(str(record.msg))
            self._log.event("spans_note", says=" ".join(said.split())[:200])


class Told(SpanExporter):
    """Sends as the one inside does, and tells when that begins to fail and when it is well again."""

    def __init__(self, inner: SpanExporter, words: Words, log: Log) -> None:
        self._inner, self._words, self._log = inner, words, log
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._words.status = ""
        try:
            result = self._inner.export(spans)
        except Exception:  # noqa: BLE001  some versions raise what their HTTP client does
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                self._log.event("spans_sent_again", lost=self._lost)
            self._lost = 0
            return result
        if not self._lost:
            status = self._words.status
            why = f"the collector answered {status}" if status else "the collector does not answer"
            self._log.event("spans_lost", why=why)
        self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _protocol(environ: Mapping[str, str]) -> str:
    general = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or SPOKEN
    return environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or general


async def _ended(thread: threading.Thread, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while thread.is_alive() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
    return not thread.is_alive()


def _seen(parent: Context) -> NonRecordingSpan:
    ids = int(parent.trace, 16), int(parent.span, 16)
    return NonRecordingSpan(SpanContext(*ids, True, TraceFlags(parent.flags)))


def _resource() -> Resource:
    """As OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME have it; ours is what they leave open."""
    given = Resource.create()
    ours = {SERVICE_NAME: "seekserve", SERVICE_VERSION: __version__}
    told = {name: str(given.attributes.get(name, NAMELESS)) for name in ours}
    return given.merge(Resource({k: v for k, v in ours.items() if told[k].startswith(NAMELESS)}))

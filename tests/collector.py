"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, and keeps the spans it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class Seen:
    """One span, as a collector understands it; times in nanoseconds."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str
    state: str
    start: int
    end: int
    facts: dict[str, Any]
    events: dict[str, int]
    failed: bool
    service: dict[str, Any]


@dataclass
class Collector:
    """`status` is what it answers from now on; while `stuck`, it answers nothing."""

    endpoint: str
    status: int = 200
    posts: int = 0
    spans: list[Seen] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    flow: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> list[Seen]:
        """In the order of their beginnings."""
        return sorted((one for one in self.spans if one.name == name), key=lambda one: one.start)

    def take(self, path: str, head: dict[str, str], body: bytes) -> int:
        self.posts += 1
        self.flow.wait()
        if self.status == 200:
            assert path == "/v1/traces"
            self.heads.append(head)
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        return self.status


@contextmanager
def collector() -> Iterator[Collector]:
    """On a port of this machine, in a thread of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    made.flow.set()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            head = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(made.take(self.path, head, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server.RequestHandlerClass = Door
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.flow.set()
        server.shutdown()
        server.server_close()


def _spans(asked: ExportTraceServiceRequest) -> Iterator[Seen]:
    for group in asked.resource_spans:
        service = _facts(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _seen(span, service)


def _seen(span: Span, service: dict[str, Any]) -> Seen:
    return Seen(
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _facts(span.attributes),
        {event.name: event.time_unix_nano for event in span.events},
        span.status.code == Status.STATUS_CODE_ERROR,
        service,
    )


def _facts(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None

"""A trace reaches a real vLLM: its context is one that the engine takes."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.server import MODEL, Served
from tests.e2e.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FROM = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "congo=t61rcWkgMzE"}
TAKEN = "Received a request with trace context but tracing is disabled"
"""What vLLM says of the first context that it can read, where it exports nothing."""


def test_the_engine_takes_a_traces_context(server: Served) -> None:
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    with server.client() as client:
        for stream in (True, False):
            body = asked | {"stream": stream}
            answer = client.post("/v1/chat/completions", json=body, headers=FROM)
            assert answer.status_code == 200
    until(lambda: server.said().count(f"trace={TRACE}") == 2, "the log did not tell of both")
    (log,) = Path(server.output.parent, "logs").glob("*engine-0.log")
    assert TAKEN in log.read_text(errors="replace")

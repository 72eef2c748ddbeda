"""What a request that is over adds to the metrics. Pure but for the counters it moves."""

from __future__ import annotations

import math
from collections.abc import Mapping

from seekserve.gateway.record import Trace
from seekserve.metrics import TOKEN_KINDS, Metrics

QUIET = ("ops", "health", "console")
"""Routes that are counted, and told nothing more of."""
TELLING_WAIT_S = 0.5
FINISHES = frozenset(
    "stop length tool_calls function_call content_filter repetition abort error client_gone".split()
)
"""Why answers end, as vLLM and we say it. An engine of somebody else's may say anything: a label may not."""


def book(
    metrics: Metrics, trace: Trace, status: int, duration_s: float, dues: Mapping[str, float]
) -> None:
    """`dues` are the seconds in which a class is to have its first token."""
    finish = trace.finish if trace.finish in FINISHES or not trace.finish else "other"
    metrics.requests.labels(trace.route, trace.model, str(status), finish).inc()
    if trace.reason:
        metrics.rejections.labels(trace.reason, trace.key_class).inc()
    for how, times in (("again", trace.again), ("continued", trace.continued)):
        if times:
            metrics.failovers.labels(trace.model, how).inc(times)
    if trace.route in QUIET:
        return
    metrics.duration.labels(trace.route, trace.model).observe(duration_s)
    _waited(metrics, trace)
    _spoke(metrics, trace, dues.get(trace.key_class, math.inf))
    for kind in TOKEN_KINDS:
        if count := trace.tokens.get(kind):
            metrics.tokens[kind].labels(trace.model, trace.key_class).inc(count)


def _waited(metrics: Metrics, trace: Trace) -> None:
    if trace.queue_s is None:
        return
    metrics.queue_wait.labels(trace.model, trace.key_class).observe(trace.queue_s)
    if trace.expected_s and trace.queue_s >= TELLING_WAIT_S:
        ratio = trace.expected_s / trace.queue_s
        metrics.wait_error.labels(trace.key_class).observe(ratio)


def _spoke(metrics: Metrics, trace: Trace, due_s: float) -> None:
    whose = (trace.model, trace.key_class)
    if trace.first_at is not None:
        first_s = trace.first_at - trace.started
        metrics.ttft.labels(*whose).observe(first_s)
        metrics.late.labels(*whose).inc(first_s > due_s)
    if pace := _pace(trace):
        metrics.tpot.labels(*whose).observe(pace)


def _pace(trace: Trace) -> float | None:
    """Seconds per token after the first, where the stream was long enough to say."""
    made = trace.tokens.get("completion", 0)
    if trace.first_at is None or trace.last_at is None or made < 2:
        return None
    return (trace.last_at - trace.first_at) / (made - 1)

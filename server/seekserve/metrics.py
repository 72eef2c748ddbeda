"""Every metric of the gateway: name, help, labels and buckets, on the registry it is given.

Labels hold only what we chose: our routes, our models, statuses and reasons. Nothing a client can
invent becomes a label, so the number of series is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from seekserve import __version__

TTFT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
TPOT_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
WAIT_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
RATIO_BUCKETS = (0.25, 0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.5, 2, 4)
DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200)

TOKEN_KINDS = ("prompt", "cached", "reasoning", "completion")

Reading = tuple[str, str, tuple[str, ...], Sequence[tuple[tuple[str, ...], float]]]
"""Name (a counter's ends in _total), help, label names, and rows of label values and value."""
TOP_KEYS = 20
"""Keys that a series names; the others are one row, so that ten thousand keys are no ten thousand series."""
OTHERS = "(others)"


class Metrics:
    """What the gateway counts; `in_flight` requests are inside it now. Gauges are not kept: `watch` adds a
    function that reads them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.in_flight = 0
        self.requests = Counter(
            "seekserve_requests",
            "Requests answered, by route, model, HTTP status (499: the client left) and finish reason.",
            ("route", "model", "status", "finish"),
            registry=registry,
        )
        self.rejections = Counter(
            "seekserve_rejections",
            "Requests refused, or broken off after their first byte, by reason and class of key.",
            ("reason", "class"),
            registry=registry,
        )
        self.failovers = Counter(
            "seekserve_failovers",
            "Times a request went elsewhere because its engine was lost, by how: again from its start, or "
            "continued where its stream was.",
            ("model", "how"),
            registry=registry,
        )
        self.ttft = self._histogram(
            "time_to_first_token_seconds",
            "From the request's arrival to the first token sent, queue included.",
            ("model", "class"),
            TTFT_BUCKETS,
        )
        self.late = Counter(
            "seekserve_first_tokens_late",
            "First tokens that came later than the ttft_target_s of their class.",
            ("model", "class"),
            registry=registry,
        )
        self.tpot = self._histogram(
            "time_per_output_token_seconds",
            "Mean time between a stream's tokens after its first.",
            ("model", "class"),
            TPOT_BUCKETS,
        )
        self.queue_wait = self._histogram(
            "queue_wait_seconds",
            "Time a request waited here for a place at an engine.",
            ("model", "class"),
            WAIT_BUCKETS,
        )
        self.wait_error = self._histogram(
            "queue_wait_estimate_ratio",
            "What a request was expected to wait, divided by what it waited (from half a second on).",
            ("class",),
            RATIO_BUCKETS,
        )
        self.duration = self._histogram(
            "request_duration_seconds",
            "From a request's arrival to its last byte.",
            ("route", "model"),
            DURATION_BUCKETS,
        )
        self.tokens = {
            "prompt": self._tokens(
                "prompt", "Prompt tokens of answered requests, cached included."
            ),
            "cached": self._tokens("cached", "Prompt tokens that came from the prefix cache."),
            "reasoning": self._tokens("reasoning", "Completion tokens spent on reasoning."),
            "completion": self._tokens("completion", "Tokens generated, reasoning included."),
        }
        self.watch(
            lambda: [
                ("requests_in_flight", "Requests inside the gateway.", (), [((), self.in_flight)])
            ]
        )
        self.watch(
            lambda: [("build_info", "The version running.", ("version",), [((__version__,), 1)])]
        )

    def watch(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Adds gauges that are read when somebody scrapes."""
        self.registry.register(_Live(read))

    def page(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(f"seekserve_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _tokens(self, kind: str, text: str) -> Counter:
        name, labels = f"seekserve_{kind}_tokens", ("model", "class")
        return Counter(name, text, labels, registry=self.registry)


def top(of_keys: Mapping[str, float]) -> list[tuple[tuple[str, ...], float]]:
    """Rows for the keys with most, and one for the sum of the others."""
    most = sorted(of_keys.items(), key=lambda one: one[1], reverse=True)
    rest = sum(value for _, value in most[TOP_KEYS:])
    return [((name,), float(value)) for name, value in (*most[:TOP_KEYS], (OTHERS, rest))]


class _Live(Collector):
    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for name, text, labels, rows in self._read():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(f"seekserve_{name}", text, labels=labels)
            for values, value in rows:
                family.add_metric(values, value)
            yield family

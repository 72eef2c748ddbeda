"""What an engine's Prometheus page says of its work, read once a look for all who want to know. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIGURE = re.compile(
    r"^vllm:(generation_tokens_total|prompt_tokens_total|iteration_tokens_total_count"
    r"|num_requests_running|num_requests_waiting|(?:gpu_)?(?:kv_)?cache_usage_perc)"
    r"(?:\{[^\n]*\})? (\d+(?:\.\d*)?(?:e[+-]?\d+)?)$",
    re.MULTILINE,
)
MOST = 2.0**53  # from here on a float counts no more


@dataclass(frozen=True, slots=True)
class Figures:
    """What it said at `at` (monotonic), over all its ranks; None where it does not say.

    `made` and `read` count tokens and `steps` the scheduler's steps since it began; `kv` is the fullest
    rank's share of its cache.
    """

    at: float = 0.0
    made: float | None = None
    read: float | None = None
    steps: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv: float | None = None

    @property
    def moving(self) -> tuple[float, ...]:
        """What does not stand still while it works; empty where it says nothing of it."""
        told = (self.made, self.read, self.steps, self.kv)
        return tuple(value for value in told if value is not None)

    @property
    def requests(self) -> float:
        """That it works on, or has yet to."""
        return (self.running or 0.0) + (self.waiting or 0.0)


UNTOLD = Figures()


def figures(page: str, at: float) -> Figures:
    """Of a page that anybody may have written: what is no number, or none to count with, is left out."""
    found: dict[str, list[float]] = {}
    for name, value in _FIGURE.findall(page):
        if (number := float(value)) < MOST:
            found.setdefault(name, []).append(number)

    def total(name: str) -> float | None:
        return sum(found[name]) if name in found else None

    shares = [value for name, values in found.items() if name.endswith("perc") for value in values]
    return Figures(
        at,
        total("generation_tokens_total"),
        total("prompt_tokens_total"),
        total("iteration_tokens_total_count"),
        total("num_requests_running"),
        total("num_requests_waiting"),
        min(1.0, max(shares)) if shares else None,
    )

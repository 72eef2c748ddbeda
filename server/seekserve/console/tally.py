"""What is counted as requests go by, over the seconds just past. Pure: time is an argument.

First tokens are counted in buckets that widen by a tenth each, a second at a time: a percentile of the
last minute is then right to within five hundredths, and costs the same for ten requests and a million.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, deque

LEAST_S, WIDER, BUCKETS = 0.001, 1.1, 146  # to 1,000 s
WINDOW = 60


class Spread:
    """Durations of the last WINDOW turns. Whoever owns it says when a turn is over."""

    def __init__(self, window: int = WINDOW) -> None:
        self._turns: deque[array[int]] = deque([_empty()], maxlen=window)
        self._all = _empty()

    def add(self, seconds: float) -> None:
        bucket = _bucket(seconds)
        self._turns[-1][bucket] += 1
        self._all[bucket] += 1

    def turn(self) -> None:
        if len(self._turns) == self._turns.maxlen:
            for bucket, count in enumerate(self._turns[0]):
                self._all[bucket] -= count
        self._turns.append(_empty())

    def at(self, share: float) -> float | None:
        """So many of them were as short as this; None while there are none."""
        total = sum(self._all)
        if not total:
            return None
        wanted, seen = share * total, 0
        for bucket, count in enumerate(self._all):
            seen += count
            if seen >= wanted:
                return LEAST_S * math.pow(WIDER, bucket - 0.5)
        return None


class Window:
    """Sums of the last so many turns, by name."""

    def __init__(self, window: int = WINDOW) -> None:
        self._turns: deque[Counter[str]] = deque([Counter()], maxlen=window)

    def add(self, name: str, count: int) -> None:
        self._turns[-1][name] += count

    def turn(self) -> None:
        self._turns.append(Counter())

    def sum(self, name: str) -> int:
        return sum(turn[name] for turn in self._turns)


class Tally:
    """Of one server. `first` and `over` are called by requests, `turn` once a second."""

    def __init__(self) -> None:
        self._firsts, self._tokens = Spread(), Window()
        self._now: Counter[str] = Counter()

    def first(self, seconds: float) -> None:
        """A stream's first token came so long after its request."""
        self._firsts.add(seconds)

    def over(self, key_class: str, refused: bool, tokens: dict[str, int]) -> None:
        self._now["finished"] += 1
        if refused:
            self._now[f"refused:{key_class}"] += 1
        for kind in ("prompt", "cached"):
            self._tokens.add(kind, tokens.get(kind, 0))

    def turn(self, span_s: float) -> dict[str, float | None]:
        """What the `span_s` seconds since the last turn, and the last minute, came to."""
        told: dict[str, float | None] = {name: n / span_s for name, n in self._now.items()}
        prompt = self._tokens.sum("prompt")
        told["requests"] = told.pop("finished", 0.0)
        told["cached_share"] = min(1.0, self._tokens.sum("cached") / prompt) if prompt else None
        told["ttft_p50"], told["ttft_p99"] = self._firsts.at(0.5), self._firsts.at(0.99)
        self._now.clear()
        self._tokens.turn()
        self._firsts.turn()
        return told


def _empty() -> array[int]:
    return array("L", bytes(BUCKETS * array("L").itemsize))


def _bucket(seconds: float) -> int:
    if seconds <= LEAST_S:
        return 0
    return min(BUCKETS - 1, math.ceil(math.log(seconds / LEAST_S, WIDER)))

"""What became of the requests, and the sums over them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.measure import median, percentile

REFUSED = (429, 503)
BROKEN = -1
LATE_S = 0.1
"""A refusal after this many seconds was one that had waited; before, it was one at the door."""


@dataclass(slots=True)
class Seen:
    """One request as its client saw it. Times are in seconds: `at` from the start of the trace, the
    others from `at`. `status` 0: nothing came before the clients stopped;
    BROKEN: a stream that ended too early.
    """

    at: float
    key: str
    prompt: int
    output: int
    status: int = 0
    first_s: float | None = None
    ended_s: float | None = None
    retry_after: str = ""
    tokens: int = 0

    @property
    def refused(self) -> bool:
        return self.status in REFUSED

    @property
    def cost(self) -> int:
        """As admission counts: a token made is worth two read."""
        return self.prompt + 2 * self.output


def of(seen: Iterable[Seen], key: str, begin: float = 0.0, end: float = float("inf")) -> list[Seen]:
    """Those of one key that came in a window of the trace (seconds)."""
    return [one for one in seen if one.key == key and begin <= one.at < end]


def met(seen: Iterable[Seen], target_s: float) -> int:
    """How many had their first token in time."""
    return sum(one.first_s is not None and one.first_s <= target_s for one in seen)


def kept(seen: Sequence[Seen], target_s: float) -> float:
    """Of those that were not refused, the share that had its first token in time."""
    admitted = [one for one in seen if not one.refused]
    return met(admitted, target_s) / len(admitted) if admitted else 0.0


def first_s(seen: Iterable[Seen], share: float) -> float:
    """Seconds to the first token, at a percentile of those that got one."""
    found = [one.first_s for one in seen if one.first_s is not None]
    return percentile(found, share) if found else float("nan")


def refusals_s(seen: Iterable[Seen]) -> list[float]:
    """Seconds until each was refused."""
    return [one.ended_s for one in seen if one.refused and one.ended_s is not None]


def served(one: Seen, begin: float, end: float) -> tuple[float, float]:
    """Tokens (read, made) of one request in a window: its prompt counts when its first token comes,
    its answer evenly from then on. One that was cut off counts as if it had been about to go on as far.
    """
    if one.first_s is None or one.status != 200:
        return 0.0, 0.0
    first = one.at + one.first_s
    read = float(one.prompt) if begin <= first < end else 0.0
    if one.ended_s is None:
        return read, 0.0
    last = max(one.at + one.ended_s, first + 1e-9)
    inside = max(0.0, min(last, end) - max(first, begin))
    return read, one.tokens * inside / (last - first)


def work(seen: Iterable[Seen], begin: float, end: float) -> float:
    """Cost served in a window, in tokens read."""
    pairs = [served(one, begin, end) for one in seen]
    return sum(read + 2 * made for read, made in pairs)


def tokens(seen: Iterable[Seen], begin: float, end: float) -> float:
    """Tokens made in a window."""
    return sum(served(one, begin, end)[1] for one in seen)


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 when all have the same, 1/n when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0


def error(pairs: Sequence[tuple[float, float]]) -> float | None:
    """The median error of (expected, found) waits, relative to what was found."""
    return median([abs(told - found) / found for told, found in pairs if found > 0])


def bias(pairs: Sequence[tuple[float, float]]) -> float:
    """The median of expected by found: above 1, waits are told longer than they are."""
    return median([told / found for told, found in pairs if found > 0]) or 0.0

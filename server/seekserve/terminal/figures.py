"""Numbers as a terminal shows them: short, aligned, and a dash for what nobody knows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Number = float | None
UNKNOWN = "–"
RISING = "▁▂▃▄▅▆▇█"
FULL, EMPTY = "█", "░"


def spark(values: Sequence[Number], width: int, span: int = 300) -> str:
    """The last `span` values, oldest first, as so many characters; a blank where none is known. The
    highest of them is the full height, and nothing at all is the lowest line.
    """
    if width < 1:
        return ""
    missing: list[Number] = [None] * max(0, span - len(values))
    shown = [*missing, *values[len(values) - span + len(missing) :]]
    edges = [round(span * number / width) for number in range(width + 1)]
    cells = [_mean(shown[a : max(a + 1, b)]) for a, b in pairwise(edges)]
    top = max((cell for cell in cells if cell is not None), default=0) or 1
    return "".join(
        " " if cell is None else RISING[_step(cell / top, len(RISING))] for cell in cells
    )


def _mean(values: Sequence[Number]) -> Number:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _step(share: float, steps: int) -> int:
    return max(0, min(steps - 1, round(share * (steps - 1))))


def bar(share: Number, width: int) -> str:
    """A share as a bar. What is more than nothing shows, and what is less than all is not full."""
    if share is None:
        return EMPTY * width
    filled = round(max(0.0, min(1.0, share)) * width)
    filled = max(filled, 1) if share > 0 else filled
    filled = min(filled, width - 1) if share < 1 else filled
    return FULL * filled + EMPTY * (width - filled)


def rate(value: Number) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def count(value: Number) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def share(value: Number) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"


def span(value: Number) -> str:
    """Seconds, as short as they are said."""
    if value is None:
        return UNKNOWN
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes = int(value // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d}" if minutes < 48 * 60 else f"{minutes // 1440} d"


def number(value: object) -> Number:
    """What a server says a number is, where it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e15 < value < 1e15 else None

"""Engines' counters -> what they make a second. Pure.

An engine is looked at once a second and the page is told once a second, but not in step: a rate is that
between the last two looks, and holds until the next one, or until it is too old to be true.
"""

from __future__ import annotations

from dataclasses import dataclass

from seekserve.engine.figures import UNTOLD, Figures

OLD_S = 5.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second that an engine made and read; None while that is not known."""

    made: float | None = None
    read: float | None = None


UNKNOWN = Rate()


class Rates:
    """By engine; one that is gone is forgotten."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Figures, Rate]] = {}

    def take(self, figures: dict[str, Figures], now: float) -> dict[str, Rate]:
        """`now` and the figures' own times are of one clock."""
        self._last = {name: self._next(name, one) for name, one in figures.items()}
        fresh = self._last.items()
        return {name: rate if now - one.at <= OLD_S else UNKNOWN for name, (one, rate) in fresh}

    def _next(self, name: str, figures: Figures) -> tuple[Figures, Rate]:
        before, rate = self._last.get(name, (UNTOLD, UNKNOWN))
        if figures.at <= before.at or not before.at:
            return figures, rate if figures.at == before.at else UNKNOWN
        span_s = figures.at - before.at
        return figures, Rate(
            _per_s(before.made, figures.made, span_s), _per_s(before.read, figures.read, span_s)
        )


def _per_s(before: float | None, now: float | None, span_s: float) -> float | None:
    """A counter that fell has begun anew: what it stands at was made since then."""
    if before is None or now is None:
        return None
    return (now - before if now >= before else now) / span_s


def total(values: list[float | None]) -> float | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None

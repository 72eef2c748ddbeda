"""Which engine a request goes to. Pure: candidates and their load in, one of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seekserve.engine.engine import Engine


def least_busy(engines: Sequence[Engine], running: Mapping[str, int], places: int) -> Engine | None:
    """The ready engine with the most free places, or None when all `places` are taken."""
    free = [e for e in engines if e.ready and running.get(e.snapshot.name, 0) < places]
    return min(free, key=lambda e: running.get(e.snapshot.name, 0), default=None)

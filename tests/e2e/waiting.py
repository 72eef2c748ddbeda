"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], otherwise: str, within_s: float = 10) -> float:
    """Polls until `holds()`; returns the seconds it took. Fails with `otherwise`."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within_s, f"{otherwise} after {within_s} s"
        time.sleep(0.05)
    return time.monotonic() - started

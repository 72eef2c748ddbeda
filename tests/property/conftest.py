"""Hypothesis as CI wants it: the same examples every time, bounded by their number, not by a clock."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "seekserve",
    derandomize=True,
    deadline=None,
    max_examples=80,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("seekserve")

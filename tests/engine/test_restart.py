"""Whether a dead engine is started again, and when."""

from __future__ import annotations

import pytest

from seekserve.engine.restart import LONGEST_WAIT_S, SETTLED_S, next_wait


@pytest.mark.parametrize(
    ("lives", "wait"),
    [
        ([], None),
        ([0.0], None),  # a first start gets no second chance
        ([5.0], 1.0),
        ([5.0, 5.0], 2.0),
        ([5.0, 0.0], 2.0),  # a restart that failed is not a first start
        ([5.0, 0.0, 0.0, 0.0, 0.0], 16.0),
        ([5.0] * 6, None),
        ([SETTLED_S], 0.0),
        ([5.0] * 5 + [SETTLED_S], 0.0),  # a long life forgives
        ([5.0] * 5 + [SETTLED_S, 5.0], 1.0),
    ],
)
def test_waits(lives: list[float], wait: float | None) -> None:
    assert next_wait(lives, 5) == wait


def test_waits_grow_to_a_bound_and_never_shrink() -> None:
    waits = [next_wait([1.0] * count, 100) or 0 for count in range(1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_no_restarts_at_all() -> None:
    assert next_wait([5.0], 0) is None


def test_one_that_dies_for_ever_is_waited_for_no_longer() -> None:
    assert next_wait([1.0] * 5000, 5000) == LONGEST_WAIT_S

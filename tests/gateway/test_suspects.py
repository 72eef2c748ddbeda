"""A request that was there whenever an engine was lost is not handed on for ever."""

from __future__ import annotations

import pytest

from seekserve.errors import EngineBroke
from seekserve.gateway.suspects import KEPT, MOST, WITHIN_S, Suspects


def test_it_is_refused_after_three_engines_and_for_a_while() -> None:
    now = [0.0]
    suspects = Suspects(lambda: now[0])
    for _ in range(MOST):
        suspects.check(b"poison")
        suspects.add(b"poison")
    with pytest.raises(EngineBroke, match="not tried again") as told:
        suspects.check(b"poison")
    assert told.value.code == "engine_lost"
    suspects.check(b"another")
    now[0] = WITHIN_S + 1
    suspects.check(b"poison")


def test_requests_without_a_body_of_their_own_are_no_suspects() -> None:
    suspects = Suspects(lambda: 0.0)
    for _ in range(2 * MOST):
        suspects.add(b"")
    suspects.check(b"")


def test_it_does_not_grow() -> None:
    suspects = Suspects(lambda: 0.0)
    for number in range(KEPT + 100):
        suspects.add(b"%d" % number)
    assert len(suspects._lost) == KEPT

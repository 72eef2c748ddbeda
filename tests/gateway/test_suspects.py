"""A request that was there whenever an engine was lost is not handed on for ever."""

from __future__ import annotations

import pytest

from seekserve.errors import EngineBroke
from seekserve.gateway.suspects import KEPT, MOST, WITHIN_S, Suspects


def test_it_is_refused_after_three_engines_and_for_a_while() -> None:
    now = [0.0]
    suspects = Suspects(lambda: now[0])
    for life in range(MOST):
        suspects.check(b"poison")
        suspects.add(b"poison", (f"engine-{life % 2}", life // 2))
    with pytest.raises(EngineBroke, match="not tried again") as told:
        suspects.check(b"poison")
    assert told.value.code == "engine_lost"
    suspects.check(b"another")
    now[0] = WITHIN_S + 1
    suspects.check(b"poison")


def test_what_many_ask_at_once_is_one_loss() -> None:
    suspects = Suspects(lambda: 0.0)
    for _ in range(2 * MOST):
        suspects.add(b"popular", ("engine-0", 0))
    suspects.check(b"popular")


def test_one_that_was_answered_is_no_suspect() -> None:
    suspects = Suspects(lambda: 0.0)
    for life in range(2 * MOST):
        suspects.add(b"popular", ("engine-0", life))
        suspects.clear(b"popular")
    suspects.check(b"popular")


def test_the_newest_losses_count() -> None:
    now = [0.0]
    suspects = Suspects(lambda: now[0])
    for life in range(MOST + 1):
        now[0] = life * WITHIN_S / MOST
        suspects.add(b"poison", ("engine-0", life))
    now[0] = WITHIN_S + 1
    with pytest.raises(EngineBroke):
        suspects.check(b"poison")


def test_requests_without_a_body_of_their_own_are_no_suspects() -> None:
    suspects = Suspects(lambda: 0.0)
    for life in range(2 * MOST):
        suspects.add(b"", ("engine-0", life))
    suspects.check(b"")


def test_it_does_not_grow() -> None:
    suspects = Suspects(lambda: 0.0)
    for number in range(KEPT + 100):
        suspects.add(b"%d" % number, ("engine-0", number))
    assert len(suspects._lost) == KEPT

"""When an engine is left out for its answers, and how it is taken back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seekserve.gateway.breaker import FIRST_S, IN_A_ROW, LONGEST_S, OF_LATE, Breaker


def opened(at: float = 100.0) -> Breaker:
    breaker = Breaker()
    assert [breaker.failed(at) for _ in range(IN_A_ROW)] == [False] * (IN_A_ROW - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it() -> None:
    assert not opened().admits(100.0, 0)


def test_an_answer_between_them_does_not() -> None:
    breaker = Breaker()
    for _ in range(3):
        assert not breaker.failed(0.0)
        assert not breaker.failed(0.0)
        breaker.worked()
    assert breaker.admits(0.0, 7)


def test_half_of_the_last_opens_it() -> None:
    breaker = Breaker()
    for _ in range(OF_LATE // 2 - 1):
        breaker.worked()
        assert not breaker.failed(0.0)
    breaker.worked()
    assert breaker.failed(0.0)


def test_past_its_wait_it_takes_one_at_a_time() -> None:
    breaker = opened(100.0)
    assert not breaker.admits(100.0 + FIRST_S / 2, 0)
    assert breaker.admits(100.0 + FIRST_S, 0)
    assert not breaker.admits(100.0 + FIRST_S, 1), "one is being tried"


def test_the_one_that_was_tried_decides() -> None:
    breaker = opened(100.0)
    breaker.worked()
    assert breaker.admits(100.0, 5)
    assert not breaker.failed(100.0), "what was before is forgotten"
    assert breaker.admits(100.0, 5)


def test_waits_grow_and_end_at_the_longest() -> None:
    breaker, now, waits = opened(0.0), 0.0, []
    for _ in range(8):
        assert breaker.open_until is not None
        waits.append(breaker.open_until - now)
        now = breaker.open_until
        assert breaker.failed(now), "it has to prove itself again"
    assert waits[0] == FIRST_S
    assert waits == sorted(waits) and waits[-1] == LONGEST_S
    breaker.worked()
    assert breaker.wait_s == FIRST_S


@given(st.lists(st.booleans(), max_size=60))
def test_one_that_always_works_is_never_left_out_and_one_that_never_does_is(
    outcomes: list[bool],
) -> None:
    breaker = Breaker()
    for worked in outcomes:
        (breaker.worked if worked else lambda: breaker.failed(0.0))()
    if all(outcomes):
        assert breaker.admits(0.0, 0)
    if len(outcomes) >= IN_A_ROW and not any(outcomes):
        assert not breaker.admits(0.0, 0)
    if outcomes and outcomes[-1]:
        assert breaker.admits(0.0, 0), "its last answer was good"

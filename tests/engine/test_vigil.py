"""When an engine is asked to prove that it works."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seekserve.engine.figures import UNTOLD, Figures
from seekserve.engine.vigil import (
    BLIND_S,
    IDLE_S,
    LEAST_S,
    MISSES,
    MOST_S,
    RHYTHM,
    Look,
    Seen,
    Vigil,
    look_of,
)

NOBODY = Seen()


def looks(vigil: Vigil, *counts: float, requests: int = 1, seen: Seen = NOBODY) -> list[bool]:
    """A look each second from the first beat on, with such a counter each."""
    start = vigil.beat_at
    return [
        vigil.take(Look(True, requests, (count,)), seen, start + 1 + second)
        for second, count in enumerate(counts)
    ]


def test_a_look_is_of_what_its_page_says() -> None:
    said = Figures(1.0, made=1500, read=70, running=3, waiting=2, kv=0.25)
    assert look_of(True, said) == Look(True, 5, (1500, 70, 0.25))
    assert look_of(False, UNTOLD) == Look(False)


def test_counters_that_move_are_beats() -> None:
    vigil = Vigil(100.0)
    assert not any(looks(vigil, *range(200)))
    assert vigil.silence_s(300.0) == 0.0


def test_silence_with_work_at_hand_is_odd() -> None:
    vigil = Vigil(100.0)
    odd = looks(vigil, 1, *[2] * 20)
    assert odd.index(True) == 1 + LEAST_S + 1, "the last beat was at the second look"
    assert all(odd[odd.index(True) :])


def test_bytes_that_came_to_us_are_beats() -> None:
    vigil = Vigil(100.0)
    for second in range(101, 160):
        heard = Seen(requests=1, heard_at=second - 2.0)
        assert not vigil.take(Look(True, 1, (7.0,)), heard, float(second))


def test_silence_without_work_is_not_odd() -> None:
    assert not any(looks(Vigil(100.0), *[7] * int(IDLE_S), requests=0))


def test_work_that_only_we_know_of_counts() -> None:
    """One hung so that its page stands still may say that nothing runs."""
    seen = Seen(requests=2)
    assert any(looks(Vigil(100.0), *[7] * 10, requests=0, seen=seen))


def test_work_begins_a_silence() -> None:
    """A long idle time before it explains nothing and counts for nothing."""
    vigil = Vigil(100.0)
    looks(vigil, *[7] * 50, requests=0)
    assert vigil.rhythm_s == 0.0
    assert not vigil.take(Look(True, 1, (7.0,)), Seen(), 151.0)
    assert vigil.silence_s(151.0) <= 1.0


def test_prompts_explain_a_silence() -> None:
    vigil, reading = Vigil(100.0), Seen(requests=1, explained_until=130.0)
    odd = looks(vigil, 1, *[1] * 40, seen=reading)
    assert odd.index(True) == 30, "the look at 131 is the first after it"


def test_its_rhythm_explains_a_silence() -> None:
    vigil = Vigil(100.0)
    looks(vigil, 1, 1, 1, 1, 2)  # four seconds between two beats, three of them seen to be silent
    assert vigil.rhythm_s == 3.0
    assert vigil.borne_s() == RHYTHM * 3.0


def test_a_slow_look_is_no_silence() -> None:
    vigil = Vigil(100.0)
    vigil.take(Look(True, 1, (1.0,)), Seen(), 101.0)
    vigil.take(Look(True, 1, (2.0,)), Seen(), 110.0)
    assert vigil.rhythm_s == 0.0 and vigil.borne_s() == LEAST_S


def test_no_rhythm_explains_more_than_the_most() -> None:
    vigil = Vigil(100.0)
    vigil.take(Look(True, 1, (1.0,)), Seen(), 101.0)
    vigil.take(Look(True, 1, (1.0,)), Seen(), 200.0)
    vigil.take(Look(True, 1, (2.0,)), Seen(), 201.0)
    assert vigil.borne_s() == MOST_S


def test_a_rhythm_fades() -> None:
    vigil = Vigil(100.0)
    looks(vigil, 1, 1, 1, 1, 2)
    looks(vigil, *range(3, 300))
    assert vigil.borne_s() == LEAST_S


def test_one_without_counters_is_given_longer() -> None:
    vigil = Vigil(100.0)
    odd = [vigil.take(Look(True), Seen(requests=1), 100.0 + n) for n in range(1, 80)]
    assert odd.index(True) == BLIND_S


def test_an_idle_engine_proves_itself_now_and_then() -> None:
    vigil = Vigil(100.0)
    odd = looks(vigil, *[7] * int(IDLE_S + 2), requests=0)
    assert odd.index(True) == IDLE_S
    vigil.proved(100.0 + IDLE_S + 2)
    assert not vigil.take(Look(True, 0, (7.0,)), Seen(), 100.0 + IDLE_S + 3)


def test_health_that_fails_again_and_again() -> None:
    vigil = Vigil(100.0)
    odd = [vigil.take(Look(False), Seen(), 100.0 + n) for n in range(MISSES)]
    assert odd == [False] * (MISSES - 1) + [True]
    vigil.proved(104.0)
    assert vigil.missed == 0


def test_one_miss_is_none() -> None:
    vigil = Vigil(100.0)
    for second in range(30):
        assert not vigil.take(Look(bool(second % 3), 0, (1.0,)), Seen(), 100.0 + second)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 2), st.floats(0, 20)),
        max_size=60,
    )
)
def test_it_is_asked_at_the_latest_when_the_most_is_over(
    steps: list[tuple[bool, int, int, float]],
) -> None:
    """Whatever its looks were, work at hand and no beat for MOST_S is odd; and a beat never is."""
    vigil, now, counter = Vigil(100.0), 100.0, 0.0
    for alive, requests, more, wait_s in steps:
        now, counter = now + wait_s, counter + more
        asked = vigil.take(Look(alive, requests, (counter,)), Seen(), now)
        assert vigil.beat_at <= now and vigil.rhythm_s >= 0
        if requests and vigil.silence_s(now) > MOST_S:
            assert asked
        if requests and more and vigil.missed < MISSES:
            assert not asked


def test_one_that_nobody_uses_is_asked_twice() -> None:
    vigil = Vigil(100.0)
    assert vigil.first_doubt(100.0) and not vigil.first_doubt(100.0)
    vigil.proved(101.0)
    assert vigil.first_doubt(101.0)
    busy = Vigil(100.0, requests=1)
    assert not busy.first_doubt(100.0)


def test_one_that_is_doubted_does_not_rest_until_it_works() -> None:
    """Compilers that began since the first doubt explain the second."""
    vigil = Vigil(100.0)
    vigil.take(Look(True, 0, (1.0,)), NOBODY, 160.0)
    assert vigil.first_doubt(155.0) and vigil.silence_s(160.0) == 5
    vigil.take(Look(True, 0, (1.0,)), NOBODY, 166.0)
    assert vigil.silence_s(166.0) == 11 and not vigil.first_doubt(160.0)
    vigil.take(Look(True, 0, (2.0,)), NOBODY, 167.0)
    assert vigil.silence_s(167.0) == 0 and vigil.first_doubt(167.0)

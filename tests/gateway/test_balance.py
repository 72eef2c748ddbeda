"""Which engine a request goes to."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from seekserve.gateway.balance import BLOCK, BURDEN, MOST_MARKS, SLACK, Homes, choose, marks

loads = st.lists(st.floats(0, 1e6), min_size=1, max_size=6)


@given(loads=loads, seed=st.integers())
def test_the_busiest_is_never_chosen_where_there_are_others(loads: list[float], seed: int) -> None:
    engines = list(enumerate(loads))
    chosen = choose(engines, None, Random(seed))
    assert len(loads) == 1 or len(set(loads)) < len(loads) or loads[chosen] < max(loads)


@given(loads=loads, home=st.integers(0, 5), seed=st.integers())
def test_home_it_goes_unless_that_is_far_busier(loads: list[float], home: int, seed: int) -> None:
    chosen = choose(list(enumerate(loads)), home, Random(seed))
    if home < len(loads) and loads[home] <= BURDEN * min(loads) + SLACK:
        assert chosen == home
    elif home < len(loads) and len(loads) <= 2:
        assert chosen != home


def test_two_choices_are_as_even_as_looking_at_all() -> None:
    chance, held = Random(7), Counter(dict.fromkeys(range(8), 0))
    for _ in range(4_000):
        held[choose([(n, float(held[n])) for n in held], None, chance)] += 1
    assert max(held.values()) - min(held.values()) <= 12


def test_marks_are_equal_while_two_prompts_are() -> None:
    beginning = b"a" * (3 * BLOCK)
    one, other = marks(beginning + b"b" * BLOCK, ""), marks(beginning + b"c" * BLOCK, "")
    assert one[:3] == other[:3] and one[3] != other[3]
    assert marks(b"a" * (BLOCK - 1), "") == ()
    assert marks(beginning, "tenant") != marks(beginning, ""), "two tenants share no cache"


@given(st.binary(max_size=4 * BLOCK), st.binary(max_size=2 * BLOCK))
def test_what_follows_changes_no_mark_before_it(prompt: bytes, more: bytes) -> None:
    before = marks(prompt, "")
    assert marks(prompt + more, "")[: len(before)] == before


def test_a_conversation_goes_home() -> None:
    homes, first = Homes(), marks(b"x" * (4 * BLOCK), "")
    homes.learn(first, "engine-1")
    assert homes.of(marks(b"x" * (4 * BLOCK) + b"y" * (2 * BLOCK), "")) == "engine-1"
    assert homes.of(marks(b"x" * (4 * BLOCK) + b"y" * (5 * BLOCK), "")) is None, "too little of it"
    assert homes.of(marks(b"z" * BLOCK, "")) is None
    assert homes.of(()) is None


def test_a_home_that_lost_its_cache_is_none() -> None:
    homes = Homes()
    homes.learn(marks(b"x" * (2 * BLOCK), ""), "engine-0")
    homes.learn(marks(b"y" * (2 * BLOCK), ""), "engine-1")
    homes.forget("engine-0")
    assert homes.of(marks(b"x" * (2 * BLOCK), "")) is None
    assert homes.of(marks(b"y" * (2 * BLOCK), "")) == "engine-1"


def test_no_more_marks_are_kept_than_there_is_room_for() -> None:
    homes = Homes()
    kept = [b"%d" % number for number in range(MOST_MARKS + 10)]
    homes.learn(kept, "engine-0")
    assert homes.of(kept[:5]) is None, "the oldest are gone"
    assert homes.of(kept[-1:]) == "engine-0"

"""How fast the house is taken to be, how far that is trusted, and who makes room for whom."""

from __future__ import annotations

import math
import random

import pytest

from seekserve.gateway.pace import FIRST_MARGIN, MOST_MARGIN, Drain, Inflow, Margin, Shares
from seekserve.settings import Tenancy

CLASSES = {name: Tenancy(share=s) for name, s in {"a": 0.6, "b": 0.3, "c": 0.1}.items()}


def test_before_anything_is_known_a_tenth_leaves_in_a_second() -> None:
    drain = Drain()
    assert drain.per_s(5000) == pytest.approx(500)
    assert drain.per_s(0) == 1


def test_what_leaves_of_what_is_there_is_found() -> None:
    """A thousand tokens in flight, of which 250 leave each second and as many come."""
    drain = Drain()
    drain.pass_to(0.0, 0)
    for tick in range(1, 400):
        drain.pass_to(tick / 10, 1000)
        drain.ended(25)
    assert drain.per_s(1000) == pytest.approx(250, rel=0.05)
    assert drain.per_s(500) == pytest.approx(125, rel=0.05)


def test_a_house_that_fills_up_is_not_taken_for_a_fast_one() -> None:
    """Two small requests of many have ended; how little time the others had is counted too."""
    drain = Drain()
    for tick in range(20):
        drain.pass_to(tick / 10, 500 * tick)
    drain.ended(200)
    drain.ended(200)
    assert drain.per_s(10_000) < 1000


def test_an_idle_house_forgets_nothing() -> None:
    drain = Drain()
    for tick in range(100):
        drain.pass_to(tick / 10, 1000)
        drain.ended(25)
    before = drain.per_s(1000)
    drain.pass_to(10_000, 0)
    assert drain.per_s(1000) == before


def test_a_margin_holds_all_but_one_in_two_hundred() -> None:
    """Waits for 4 to 100 places that free one by one, each after 50 ms on average."""
    margin, dice = Margin(), random.Random(3)
    beyond = []
    for number in range(20_000):
        places = dice.randint(4, 100)
        expected_s, found_s = places * 0.05, dice.gammavariate(places, 0.05)
        if number >= 5000:
            beyond.append(found_s > margin.latest_s(expected_s, 0.05))
        margin.learn(expected_s, 0.05, found_s)
    assert 0.002 < sum(beyond) / len(beyond) < 0.01
    assert 2 < margin.deviations < 5


def test_a_margin_is_bounded_and_blind_to_the_next_place() -> None:
    margin = Margin()
    margin.learn(0.3, 0.1, 100.0)
    assert margin.deviations == FIRST_MARGIN
    for _ in range(1000):
        margin.learn(1.0, 0.1, 1000.0)
    assert margin.deviations == MOST_MARGIN
    for _ in range(20_000):
        margin.learn(1.0, 0.1, 0.5)
    assert margin.deviations == 0
    assert margin.latest_s(1.0, 0.1) == 1


def test_guests_make_room_for_a_class_at_its_due() -> None:
    shares = Shares(CLASSES)
    assert not shares.yields("b", 0.0, ())
    shares.add("a", 4, 0.0)
    assert shares.yields("b", 1.0, ())
    assert shares.yields("c", 1.0, {"b"})
    assert not shares.yields("a", 1.0, ())
    assert not shares.yields("b", 1.0, {"a"})  # it asks for more than its due: turns decide
    shares.add("a", -4, 2.0)
    assert shares.yields("b", 3.0, ())
    assert not shares.yields("b", 300.0, ())


def test_what_waits_goes_as_it_lately_went() -> None:
    inflow = Inflow()
    assert inflow.per_s == math.inf
    inflow.pass_to(0.0, False)
    for tick in range(1, 100):
        inflow.pass_to(tick / 10, True)
        inflow.sent(50)
    assert inflow.per_s == pytest.approx(500, rel=0.05)
    inflow.pass_to(30.0, False)  # long ago: those it would turn away could not teach it better
    assert inflow.per_s == math.inf


def test_a_margin_that_turns_everybody_away_narrows() -> None:
    margin = Margin()
    margin.learn(1.0, 0.1, 1000.0)
    assert margin.deviations > FIRST_MARGIN
    margin.pass_to(3600.0)
    assert margin.deviations == pytest.approx(FIRST_MARGIN, abs=0.01)


def test_who_does_not_wait_teaches_a_margin_nothing() -> None:
    margin = Margin()
    for found_s in (0.0, 0.00005, 1.0):
        margin.learn(0.0, 0.0, found_s)
    assert margin.deviations == FIRST_MARGIN

"""What is kept of each second, by a clock that the test turns: rings, rates, percentiles, their memory."""

from __future__ import annotations

import json
import math
import random
import tracemalloc
from typing import Any

import pytest

from seekserve.console.happenings import MOST as MOST_EVENTS
from seekserve.console.happenings import Happenings
from seekserve.console.history import MOST, SPAN, History
from seekserve.console.live import Live
from seekserve.console.pulse import Pulse
from seekserve.console.rates import Rates, total
from seekserve.console.saying import Said
from seekserve.console.tally import Tally
from seekserve.engine.figures import UNTOLD, Figures
from seekserve.log import Log


def told(history: History) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(history.page())
    return page


def test_history_keeps_a_quarter_of_an_hour_and_no_more() -> None:
    history = History()
    for second in range(SPAN + 50):
        history.take(1000.0 + second, {"a": float(second), "b": None})
    page = told(history)
    assert (page["step_s"], page["until"]) == (1, 1000.0 + SPAN + 49)
    assert page["series"] == {"a": [float(n) for n in range(50, SPAN + 50)]}


def test_a_page_is_made_once_a_second() -> None:
    history = History()
    history.take(1.0, {'a "name"': 1.0})
    assert history.page() is history.page()
    before = history.page()
    history.take(2.0, {'a "name"': 123456.7})
    assert history.page() is not before
    assert told(history)["series"] == {'a "name"': [1.0, 123460.0]}


def test_a_series_that_begins_late_has_nothing_before() -> None:
    history = History()
    history.take(1.0, {"a": 1.0})
    history.take(2.0, {"a": None, "late": 2.5})
    history.take(3.0, {"a": 3.0, "late": 3.5})
    assert told(history)["series"] == {"a": [1.0, None, 3.0], "late": [None, 2.5, 3.5]}


def test_seconds_that_were_missed_are_gaps_and_no_shift() -> None:
    history = History()
    history.take(10.0, {"a": 1.0})
    history.take(11.02, {"a": 2.0})
    history.take(14.0, {"a": 5.0})
    assert told(history)["series"]["a"] == [1.0, 2.0, None, None, 5.0]
    history.take(10_000_000.0, {"a": 6.0})  # a clock that was set
    assert told(history)["series"]["a"][-2:] == [None, 6.0]
    history.take(9.0, {"a": 7.0})
    assert told(history)["series"]["a"][-2:] == [6.0, 7.0]


def test_what_is_gone_for_long_is_forgotten() -> None:
    history = History(span=5)
    history.take(1.0, {"kv:engine-0": 0.5, "a": 1.0})
    for second in range(2, 8):
        history.take(float(second), {"a": 1.0})
    assert set(told(history)["series"]) == {"a"}


def test_there_are_so_many_series_at_most() -> None:
    history = History(span=4)
    history.take(1.0, {f"kv:{number}": 0.5 for number in range(MOST + 100)})
    assert len(history) == MOST


def test_all_that_is_kept_takes_less_than_ten_megabytes() -> None:
    """A full house: every series there may be, for their whole span; and as many events as are kept."""
    tracemalloc.start()
    history, happenings, tally = History(), Happenings(), Tally()
    names = [f"running:engine-{number}" for number in range(MOST)]
    for second in range(SPAN):
        history.take(float(second), {name: random.random() for name in names})
        for number in range(20):
            tally.first(0.01 * (number + 1))
            tally.over("public", False, {"prompt": 10})
        tally.turn(1.0)
    for number in range(2 * MOST_EVENTS):
        words = f"queue_full {number} ".ljust(200, "x")
        happenings.add(Said("refused", "warn", words, f"request-{number:0128d}"))
        happenings.news()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(history) == MOST and len(happenings) == MOST_EVENTS
    assert held < 10e6, f"{held / 1e6:.1f} MB"
    assert len(history.page()) < 10e6


def test_rates_follow_the_engines_counters() -> None:
    rates = Rates()
    first = rates.take({"e": Figures(10.0, made=100, read=1000)}, 10.2)["e"]
    assert (first.made, first.read) == (None, None)
    then = rates.take({"e": Figures(12.0, made=150, read=1400)}, 12.1)["e"]
    assert (then.made, then.read) == (25, 200)
    assert rates.take({"e": Figures(12.0, made=150, read=1400)}, 13.1)["e"] == then  # no new look
    assert rates.take({"e": Figures(12.0, made=150, read=1400)}, 19.0)["e"].made is None  # too old


def test_a_counter_that_begins_anew_is_no_drop() -> None:
    rates = Rates()
    rates.take({"e": Figures(10.0, made=1_000_000)}, 10.0)
    assert rates.take({"e": Figures(11.0, made=40)}, 11.0)["e"].made == 40
    rates.take({"e": UNTOLD}, 12.0)  # it starts again
    assert rates.take({"e": Figures(20.0, made=5)}, 20.0)["e"].made is None
    assert rates.take({}, 21.0) == {}
    assert rates.take({"e": Figures(22.0)}, 22.0)["e"].made is None  # a page without counters
    assert total([None, None]) is None and total([None, 2.0, 3.0]) == 5.0


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_percentiles_are_right_to_a_twentieth(share: float) -> None:
    tally, some = Tally(), random.Random(7)
    seconds = sorted(math.exp(some.gauss(-1, 1)) for _ in range(20_000))
    for number, one in enumerate(some.sample(seconds, len(seconds))):
        tally.first(one)
        if number % 500 == 499:
            told = tally.turn(1.0)
    found = told["ttft_p50" if share == 0.5 else "ttft_p99"]
    assert found == pytest.approx(seconds[int(share * len(seconds))], rel=0.06)


def test_a_minute_later_first_tokens_are_forgotten() -> None:
    tally = Tally()
    tally.first(0.5)
    for _ in range(60):
        assert tally.turn(1.0)["ttft_p50"] == pytest.approx(0.5, rel=0.06)
    assert tally.turn(1.0)["ttft_p50"] is None


def test_requests_and_refusals_are_told_a_second() -> None:
    tally = Tally()
    for _ in range(4):
        tally.over("public", False, {"prompt": 100, "cached": 50})
    tally.over("batch", True, {})
    told = tally.turn(2.0)
    assert told["requests"] == 2.5 and told["refused:batch"] == 0.5
    assert told["cached_share"] == 0.5
    again = tally.turn(1.0)
    assert again["requests"] == 0.0 and again["cached_share"] == 0.5
    assert "refused:batch" not in again


async def test_what_an_engine_makes_up_stops_no_clock() -> None:
    """Numbers too large to be true, and names that are no text."""
    history, live, name = History(), Live(), "kv:\ud800\n"
    pulse = Pulse(
        live,
        history,
        lambda: {name: 1e300, "a": math.inf, "b": None, "c": 0.123456789},
        lambda: [{"name": name}],
        list,
        dict,
        Log(sink=lambda line: None),
    )
    pulse.tick()
    _, said = live.since(0)
    assert b'"a":null,"b":null,"c":0.12346' in said and said.count(b"\n") == 3
    assert told(history)["series"] == {"c": [0.12346]}

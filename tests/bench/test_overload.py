"""The pure parts of the overload bench: the trace, the engine's steps, the sums."""

import json
import random

import pytest

from .overload import figures, trace
from .overload.figures import Seen
from .overload.steps import Batch, Machine, Sequence
from .overload.trace import Arrival, Mix, Stream


def _seen(at: float, first_s: float | None, ended_s: float | None, status: int = 200) -> Seen:
    return Seen(at, "k", 100, 40, status, first_s, ended_s, tokens=40)


def test_the_same_seed_sends_the_same_and_each_key_its_own() -> None:
    streams = [Stream("a", 50, 0, 20), Stream("b", 5, 10, 20)]
    sent = trace.merged(streams, Mix())
    assert sent == trace.merged(streams, Mix()) and sent != trace.merged(streams, Mix(), seed=8)
    assert [one.at for one in sent] == sorted(one.at for one in sent)
    assert trace.merged(streams[:1], Mix()) == [one for one in sent if one.key == "a"]
    assert min(one.at for one in sent if one.key == "b") >= 10


def test_arrivals_come_at_the_rate_and_in_the_sizes_asked_for() -> None:
    sent = trace.merged([Stream("a", 100, 0, 100)], Mix())
    assert trace.rate(sent, 0, 100) == pytest.approx(100, rel=0.05)
    assert sum(one.prompt == 4000 for one in sent) / len(sent) == pytest.approx(0.1, abs=0.01)
    assert all(100 <= one.prompt <= 600 for one in sent if one.prompt != 4000)
    assert sum(one.output for one in sent) / len(sent) == pytest.approx(200, rel=0.02)


def test_a_body_has_the_bytes_of_its_tokens_and_no_shared_beginning() -> None:
    bodies = [trace.body(Arrival(0, "a", 300, 9), number, "m", Mix()) for number in (1, 2)]
    said = [json.loads(body)["messages"][0]["content"] for body in bodies]
    assert [len(text) for text in said] == [1200, 1200] and said[0][:2] != said[1][:2]
    assert json.loads(bodies[0])["max_tokens"] == 9


def test_lanes_begin_as_if_they_had_been_going_for_long() -> None:
    arrivals = trace.endless(Mix(), "a", 1000)
    fresh = [next(arrivals).output for _ in range(1000)]
    later = [next(arrivals).output for _ in range(1000)]
    assert sum(fresh) / 1000 == pytest.approx(100, rel=0.1)
    assert sum(later) / 1000 == pytest.approx(200, rel=0.05)


def test_a_step_takes_as_long_as_what_is_in_it() -> None:
    batch = Batch()
    batch.add(Sequence(1200, 3, 0))
    assert batch.begin() == pytest.approx(0.010 + 0.00003 + 0.010)
    assert [(made.first, made.last) for made in batch.end()] == [(True, False)]
    assert batch.begin() == pytest.approx(0.010 + 0.00003)


def test_an_answer_is_whole_after_as_many_steps_as_it_has_tokens() -> None:
    batch = Batch()
    batch.add(Sequence(10, 20, 0))
    told = []
    for step in range(1, 21):
        batch.begin()
        told += [(step, made.tokens, made.last) for made in batch.end()]
    assert told == [(1, 1, False), (9, 8, False), (17, 8, False), (20, 3, True)]
    assert (batch.running, batch.waiting, batch.unread) == (0, 0, 0)


def test_a_prompt_longer_than_a_step_is_read_in_several_before_others() -> None:
    batch = Batch(Machine(step_tokens=100))
    long, short = Sequence(250, 1, 0), Sequence(60, 1, 1)
    batch.add(long)
    batch.add(short)
    firsts = []
    for _ in range(4):
        batch.begin()
        firsts.append([made.sequence for made in batch.end()])
    assert firsts == [[], [], [long], [short]]


def test_there_are_no_more_than_its_places_and_the_urgent_are_next() -> None:
    batch = Batch(Machine(sequences=1))
    first, later, urgent = Sequence(5, 9, 0), Sequence(5, 9, 1, 1), Sequence(5, 9, 2, 0)
    for one in (first, later):
        batch.add(one)
    batch.begin()
    batch.end()
    batch.add(urgent)
    assert (batch.running, batch.waiting, batch.unfinished) == (1, 2, 3)
    batch.drop(first)
    batch.begin()
    assert [made.sequence for made in batch.end()] == [urgent]


@pytest.mark.parametrize("steps", [0, 1, 2, 9])
def test_whoever_leaves_at_any_time_leaves_nothing(steps: int) -> None:
    batch = Batch(Machine(step_tokens=100, sequences=3))
    dice = random.Random(steps)
    ones = [Sequence(dice.randint(50, 250), 20, number) for number in range(5)]
    for one in ones:
        batch.add(one)
    for _ in range(steps):
        batch.begin()
        batch.end()
    batch.begin()  # they leave while a step runs
    for one in ones:
        batch.drop(one)
        batch.drop(one)
    assert batch.end() == []
    assert (batch.running, batch.waiting, batch.unread) == (0, 0, 0)


def test_in_time_is_of_all_and_kept_of_those_let_in() -> None:
    seen = [_seen(0, 1, 2), _seen(0, 3, 4), _seen(0, None, 0.01, 503), _seen(0, None, None, 0)]
    assert figures.met(seen, 2) == 1
    assert figures.kept(seen, 2) == pytest.approx(1 / 3)
    assert figures.refusals_s(seen) == [0.01]


def test_tokens_are_served_when_they_come() -> None:
    one = _seen(10, 1, 5)  # 100 read at 11, 40 made from 11 to 15
    assert list(figures.served(one, 0, 20)) == pytest.approx([100, 40])
    assert list(figures.served(one, 12, 14)) == pytest.approx([0, 20])
    assert figures.served(_seen(0, None, 0.01, 503), 0, 20) == (0, 0)
    assert figures.work([one, one], 0, 20) == pytest.approx(2 * (100 + 80))


def test_jains_index_and_the_error_of_estimates() -> None:
    assert figures.jain([5, 5]) == 1 and figures.jain([1, 0]) == 0.5
    assert figures.error([(1, 2), (3, 2), (2.2, 2)]) == pytest.approx(0.5)
    assert figures.error([]) is None and figures.bias([(1, 2), (6, 2)]) == pytest.approx(1.75)

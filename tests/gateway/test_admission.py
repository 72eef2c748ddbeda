"""The queue: in turn, bounded, with deadlines; leaving by any road frees the place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from seekserve.engine.address import Address
from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import ModelCard
from seekserve.errors import EngineBroke, EngineLost, EngineNotReady, QueueFull
from seekserve.gateway.admission import Admission
from seekserve.gateway.gauges import gauges
from seekserve.gateway.lease import Broke, Lease
from seekserve.gateway.sizes import Wish
from seekserve.log import Log
from seekserve.settings import Limits, Tenancy
from tests.support import until


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class House:
    """An admission over engines whose state the test sets."""

    def __init__(self, engines: int = 1, **limits: float) -> None:
        log = Log("text", lambda line: None)
        cards = (ModelCard("m"), ModelCard("n"))
        names = [f"e{number}" for number in range(engines)]
        self.engines = [Engine(n, Address(path=f"/{n}"), cards, log) for n in names]
        given = Limits.model_validate({"running": 1, "queued": 3, "wait_s": 100} | limits)
        self.clock = Clock()
        self.admission = Admission(Fleet(self.engines), given, self.clock)
        for engine in self.engines:
            engine._become(State.READY)
        self.log: list[str] = []

    def __repr__(self) -> str:
        return repr(self.admission)

    async def visit(self, name: str, leave: asyncio.Event, model: str = "m") -> None:
        async with self.admission.enter(Wish(model), 0.05) as lease:
            self.log.append(f"{name}@{lease.engine.snapshot.name}")
            await leave.wait()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[asyncio.Event]:
        """One place is taken until the event is set."""
        leave = asyncio.Event()
        task = asyncio.create_task(self.visit("first", leave))
        await until(lambda: self.log)
        yield leave
        leave.set()
        await task

    def line(self, *names: str) -> Iterator[asyncio.Task[None]]:
        gone = asyncio.Event()
        gone.set()
        for name in names:
            yield asyncio.create_task(self.visit(name, gone))


async def test_first_come_first_served() -> None:
    house = House()
    async with house.taken():
        tasks = list(house.line("a", "b", "c"))
        await until(lambda: house.admission.queued == 3)
        assert repr(house) == "<Admission 1 running, 3 queued>"
    await asyncio.gather(*tasks)
    assert house.log == ["first@e0", "a@e0", "b@e0", "c@e0"]
    assert repr(house) == "<Admission 0 running, 0 queued>"


async def test_models_of_one_engine_stand_in_one_line() -> None:
    house = House(queued=8)
    gone = asyncio.Event()
    gone.set()
    async with house.taken():
        tasks = []
        for number, model in enumerate("nmnmm"):
            tasks.append(asyncio.create_task(house.visit(f"{number}{model}", gone, model)))
            await until(lambda n=number: house.admission.queued == n + 1)  # type: ignore[misc]
    await asyncio.gather(*tasks)
    assert house.log[1:] == ["0n@e0", "1m@e0", "2n@e0", "3m@e0", "4m@e0"]


async def test_nobody_slips_in_before_those_who_wait() -> None:
    house = House()
    async with house.taken() as leave:
        (waiting,) = house.line("a")
        await until(lambda: house.admission.queued == 1)
        leave.set()
        (late,) = house.line("late")
        await asyncio.gather(waiting, late)
    assert house.log == ["first@e0", "a@e0", "late@e0"]


async def test_the_line_is_bounded_and_says_how_long() -> None:
    house = House(queued=2)
    async with house.taken():
        tasks = list(house.line("a", "b"))
        await until(lambda: house.admission.queued == 2)
        with pytest.raises(QueueFull) as caught:
            async with house.admission.enter(Wish("m"), 1):
                raise AssertionError("there is no place")
        assert caught.value.retry_after_s
        assert "2 requests already wait" in caught.value.message
        assert repr(house) == "<Admission 1 running, 2 queued>"
    await asyncio.gather(*tasks)


async def test_a_key_leaves_the_end_of_its_classs_queue_to_others() -> None:
    house = House(queued=1000, running=1)
    house.admission.classes = {"all": Tenancy(share=1, max_wait_s=1e6, ttft_target_s=1e6, queued=8)}

    async def wait(key: str) -> None:
        async with house.admission.enter(Wish("m", key), 5):
            pass

    async with house.taken():
        tasks = [asyncio.create_task(wait("busy")) for _ in range(6)]
        await until(lambda: house.admission.queued == 6)
        with pytest.raises(QueueFull, match="6 requests of this API key already wait"):
            await wait("busy")
        tasks += [asyncio.create_task(wait(key)) for key in ("one", "two")]
        await until(lambda: house.admission.queued == 8)
        with pytest.raises(QueueFull, match="8 requests already wait in class all"):
            await wait("three")
    await asyncio.gather(*tasks)


async def test_small_ones_do_not_pass_a_large_one_for_ever() -> None:
    """The large one of class a finds no room for its tokens; the small ones of b would take what frees."""
    house = House(running=100, queued=100)
    house.engines[0]._become(State.READY, actual={"kv_cache_tokens": 1000.0})
    classes = {name: Tenancy(share=0.5, max_wait_s=1e6, ttft_target_s=1e6) for name in "ab"}
    house.admission = Admission(
        Fleet(house.engines), house.admission._limits, house.clock, classes, "a"
    )
    came: list[str] = []

    async def ask(key_class: str, tokens: int, leave: asyncio.Event) -> None:
        wish = Wish("m", key_class, key_class, 4 * tokens, 1, 1, stream=False)
        async with house.admission.enter(wish, 5):
            came.append(key_class)
            await leave.wait()

    first, rest = asyncio.Event(), asyncio.Event()
    rest.set()
    tasks = [
        asyncio.create_task(ask("b", 400, first)),
        asyncio.create_task(ask("b", 400, asyncio.Event())),
    ]
    await until(lambda: len(came) == 2)
    tasks.append(asyncio.create_task(ask("a", 900, rest)))
    await until(lambda: house.admission.queued == 1)
    tasks.append(asyncio.create_task(ask("b", 100, rest)))
    await until(lambda: came == ["b", "b", "b"])  # for a while, whoever fits may go
    house.clock.now += 3
    tasks.append(asyncio.create_task(ask("b", 100, rest)))
    await until(lambda: house.admission.queued == 2)
    first.set()
    await asyncio.sleep(0.05)
    assert came == ["b", "b", "b"]
    tasks[1].cancel()
    await until(lambda: came == ["b", "b", "b", "a", "b"])
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_deadline_ends_the_wait() -> None:
    house = House(wait_s=30)
    async with house.taken():
        (task,) = house.line("a")
        await until(lambda: house.admission.queued == 1)
        house.clock.now = 31
        with pytest.raises(QueueFull, match="within 30 s"):
            await task
        assert repr(house) == "<Admission 1 running, 0 queued>"


async def test_those_who_wait_are_ticked() -> None:
    house = House()
    ticks: list[int] = []

    async def tick() -> None:
        ticks.append(1)

    async def visit() -> None:
        async with house.admission.enter(Wish("m"), 0.01, tick):
            pass

    async with house.taken():
        task = asyncio.create_task(visit())
        await until(lambda: len(ticks) >= 3)
    await task


async def test_a_tick_that_fails_leaves_the_line() -> None:
    house = House()

    async def tick() -> None:
        raise ConnectionError

    async with house.taken():
        with pytest.raises(ConnectionError):
            async with house.admission.enter(Wish("m"), 0.01, tick):
                raise AssertionError("there is no place")
        assert repr(house) == "<Admission 1 running, 0 queued>"


async def test_leaving_while_queued_frees_the_line() -> None:
    house = House()
    async with house.taken():
        gone, stays = house.line("a", "b")
        await until(lambda: house.admission.queued == 2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert repr(house) == "<Admission 1 running, 1 queued>"
    await stays
    assert house.log == ["first@e0", "b@e0"]


async def test_leaving_in_the_very_tick_of_the_grant_gives_the_place_on() -> None:
    house = House()
    async with house.taken() as leave:
        gone, next_one = house.line("a", "b")
        await until(lambda: house.admission.queued == 2)
        leave.set()
        await asyncio.sleep(0)  # the first has left: the place is granted, nobody has woken yet
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await next_one
    assert house.log == ["first@e0", "b@e0"]
    assert repr(house) == "<Admission 0 running, 0 queued>"


async def test_every_order_of_leaving_and_granting_ends_at_rest() -> None:
    for cancel_after in range(6):
        house = House()
        async with house.taken() as leave:
            tasks = list(house.line("a", "b"))
            await until(lambda house=house: house.admission.queued == 2)  # type: ignore[misc]
            leave.set()
            for _ in range(cancel_after):
                await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert repr(house) == "<Admission 0 running, 0 queued>"
        assert house.log[-1] == "b@e0"


async def test_an_error_inside_frees_the_place() -> None:
    house = House()
    with pytest.raises(KeyError):
        async with house.admission.enter(Wish("m"), 1):
            raise KeyError
    assert repr(house) == "<Admission 0 running, 0 queued>"


async def test_the_least_busy_engine_is_chosen_when_a_place_frees() -> None:
    house = House(engines=2, running=2)
    leave = asyncio.Event()
    tasks = [asyncio.create_task(house.visit(str(n), leave)) for n in range(4)]
    await until(lambda: len(house.log) == 4)
    assert sorted(entry[-2:] for entry in house.log) == ["e0", "e0", "e1", "e1"]
    assert house.log[0][-2:] != house.log[1][-2:]
    leave.set()
    await asyncio.gather(*tasks)


async def test_an_engine_that_becomes_ready_takes_from_the_line() -> None:
    house = House(engines=2)
    house.engines[1]._become(State.STARTING, stage="load")
    async with house.taken():
        (task,) = house.line("a")
        await until(lambda: house.admission.queued == 1)
        house.engines[1]._become(State.READY)
        await task
    assert house.log == ["first@e0", "a@e1"]


async def test_those_who_wait_are_told_when_every_engine_has_failed() -> None:
    house = House()
    async with house.taken():
        (task,) = house.line("a")
        await until(lambda: house.admission.queued == 1)
        house.engines[0]._become(State.FAILED)
        with pytest.raises(EngineNotReady) as caught:
            await task
        assert caught.value.code == "engine_failed"
    assert repr(house) == "<Admission 0 running, 0 queued>"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.STARTING, "engine_starting"),
        (State.FAILED, "engine_failed"),
        (State.STOPPED, "engine_not_ready"),
    ],
)
async def test_nobody_enters_while_no_engine_answers(state: State, code: str) -> None:
    house = House()
    house.engines[0]._become(state, stage="load", share=0.5)
    with pytest.raises(EngineNotReady) as caught:
        async with house.admission.enter(Wish("m"), 1):
            raise AssertionError("there is no engine")
    assert caught.value.code == code
    if state is State.STARTING:
        assert "load (50%)" in caught.value.message


async def test_gauges() -> None:
    house = House()
    async with house.taken():
        (task,) = house.line("a")
        await until(lambda: house.admission.queued == 1)
        told = {name: rows for name, _, _, rows in gauges(house.admission)}
        assert told["queue_depth"] == [(("m", "all"), 1.0)]
        assert told["places_taken"] == [(("e0",), 1.0)]
        assert told["share_used"] == [(("all",), 1.0)]
        assert told["tokens_unread"] == [(("e0",), 1.0)]
        assert told["tokens_in_flight"] == [(("e0",), 2.0)], "and one that it may answer with"
    await task


async def test_a_first_token_lets_the_next_prompt_in() -> None:
    house = House(running=9, queued=9)
    came: list[str] = []

    async def ask(name: str) -> None:
        async with house.admission.enter(Wish("m", size=8000), 5):
            came.append(name)

    async with house.admission.enter(Wish("m", size=8000), 5) as first:
        house.admission.places.loads["e0"].read_per_s = 1000.0
        task = asyncio.create_task(ask("next"))
        await until(lambda: house.admission.queued == 1)
        assert not came
        first.began()
        await asyncio.sleep(0)
        assert house.admission.queued == 0
        await until(lambda: came)
    await task


async def test_a_model_whose_engine_is_idle_is_not_kept_waiting_by_another() -> None:
    log = Log("text", lambda line: None)
    engines = [Engine(name, Address(path=f"/{name}"), (ModelCard(name),), log) for name in "ab"]
    admission = Admission(Fleet(engines), Limits(running=2, queued=9, wait_s=100), Clock())
    for engine in engines:
        engine._become(State.READY)
    async with (
        admission.enter(Wish("a"), 5),
        admission.enter(Wish("a"), 5),
        asyncio.timeout(1),
        admission.enter(Wish("b"), 5) as lease,
    ):
        assert lease.engine is engines[1]


async def test_what_an_engine_refuses_is_charged_to_nobody() -> None:
    house = House()
    async with house.admission.enter(Wish("m", "k", "all", 4_000_000), 5):
        house.clock.now += 0.05
    group = house.admission.lines["m"].groups["all"]
    assert (group.served, group.counters["k"]) == (0, 0)
    house.clock.now += 1
    async with house.admission.enter(Wish("m", "k", "all", 400), 5) as lease:
        house.clock.now += 1
        lease.tokens.update(prompt=120, completion=40)
    assert group.served == 200
    assert house.admission.places.drained_per_s < 1000


async def test_a_prompt_beyond_the_window_counts_as_the_window() -> None:
    house = House()
    card = ModelCard("m", max_model_len=16_000)
    house.engines[0]._become(State.READY, models=(card,))
    async with house.admission.enter(Wish("m", size=40_000_000), 5) as lease:
        assert lease.size.prompt == 16_000


def lost(lease: Lease, house: House) -> Broke:
    return Broke(EngineLost("x"), lease.engine.snapshot, house.clock())


async def test_one_that_comes_again_and_gets_no_place_is_not_charged() -> None:
    house, wish = House(), Wish("m", key="ann", size=4000, most=1000)
    async with house.admission.enter(wish, 0.05) as lease:
        broke = Broke(EngineBroke("x"), lease.engine.snapshot, house.clock())
    group = house.admission.lines["m"].groups["all"]
    for _ in range(3):
        with pytest.raises(EngineBroke):
            async with house.admission.enter(wish, 0.05, None, broke):
                raise AssertionError("there is no other engine")
    assert (group.served, group.counters["ann"]) == (0, 0)


async def test_one_that_comes_again_and_leaves_in_the_tick_of_its_place_is_even() -> None:
    house, wish = House(engines=2), Wish("m", key="ann", size=4000, most=1000)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        begun = await first.enter_async_context(house.admission.enter(wish, 0.05))
        await second.enter_async_context(house.admission.enter(wish, 0.05))
        group = house.admission.lines["m"].groups["all"]
        again = house.admission.enter(wish, 5, None, lost(begun, house))
        waiting = asyncio.create_task(again.__aenter__())
        await until(lambda: house.admission._again)
        before = group.served
        await second.aclose()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert group.served == before - begun.size.cost, "the second came to nothing, nor did this"
    assert (group.served, group.counters["ann"]) == (0, 0)

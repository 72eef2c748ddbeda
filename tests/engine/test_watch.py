"""A ready engine under watch: hung, stopped, wrong or gone, it is named; at work it is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from seekserve.engine.address import Address
from seekserve.engine.probe import Probe
from seekserve.engine.vigil import Seen
from seekserve.engine.watch import Pace, Watch
from tests.support import FakeEngine

QUICK = Pace(look_s=0.05, proof_s=0.5, least_s=0.2)


@asynccontextmanager
async def watching(
    engine: FakeEngine,
    seen: Callable[[], Seen] = Seen,
    pace: Pace = QUICK,
    youngest: Callable[[], float | None] = lambda: None,
) -> AsyncIterator[tuple[Watch, asyncio.Task[str]]]:
    """What it finds amiss is the task's result; afterwards the engine is well again."""
    async with Probe(Address.parse(engine.url), timeout_s=0.3) as probe:
        watch = Watch(probe, "fake", seen, youngest, pace)
        task = asyncio.create_task(watch.until_amiss())
        try:
            yield watch, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            engine.afflict()


async def named(task: asyncio.Task[str]) -> str:
    return await asyncio.wait_for(task, 20)


async def left_alone(task: asyncio.Task[str], for_s: float = 0.5) -> None:
    done, _ = await asyncio.wait([task], timeout=for_s)
    assert not done, task.result()


async def test_a_healthy_one_is_left_alone(engine: FakeEngine) -> None:
    async with watching(engine) as (_, task):
        await left_alone(task)


async def test_one_that_hangs_with_its_health_green(engine: FakeEngine) -> None:
    engine.afflict("hang")
    async with watching(engine, lambda: Seen(requests=1)) as (_, task):
        amiss = await named(task)
    assert amiss.startswith("it hangs: no token for ")
    assert "with 1 request at hand" in amiss
    assert "did not answer within" in amiss


async def test_one_that_is_silent_but_makes_the_token_it_is_asked_for(engine: FakeEngine) -> None:
    """It reads a long prompt, or its answers are slow: nothing is amiss."""
    async with watching(engine, lambda: Seen(requests=3)) as (_, task):
        await left_alone(task)
    proofs = [one for one in engine.state()["seen"] if one["body"].get("prompt") == "1"]
    assert proofs, "it was asked"
    assert proofs[-1]["body"]["max_tokens"] == 1


async def test_one_that_is_slow_to_prove_itself_while_others_hear_of_it(
    engine: FakeEngine,
) -> None:
    engine.afflict("hang")
    async with watching(engine, lambda: Seen(3, heard_at=time.monotonic())) as (watch, task):
        watch.doubt()
        await left_alone(task)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("html", "answered with text/html that is not JSON"),
        ("html_502", "failed with status 502"),
        ("truncated_json", "the connection broke"),
        ("bad_json", "answered with application/json that is not JSON"),
        ("array", "JSON that holds no choices"),
        ("not_http", "the connection broke"),
        ("hang_before_head", "did not answer within"),
    ],
)
async def test_wrong_answers_are_named(engine: FakeEngine, fault: str, words: str) -> None:
    engine.afflict(fault)
    async with watching(engine) as (watch, task):
        watch.doubt()
        amiss = await named(task)
    assert amiss.startswith("it does not work: asked for a token, ")
    assert words in amiss


async def test_wrong_answers_that_others_hear_are_no_sign_of_life(engine: FakeEngine) -> None:
    """Their bytes came from it, but nobody could read them."""
    engine.afflict("html")
    async with watching(engine, lambda: Seen(3, heard_at=time.monotonic())) as (watch, task):
        watch.doubt()
        assert "text/html" in await named(task)


async def test_a_refusal_is_an_answer(engine: FakeEngine) -> None:
    engine.afflict("too_long")
    async with watching(engine) as (watch, task):
        watch.doubt()
        await left_alone(task, 0.4)


async def test_an_idle_one_proves_itself(engine: FakeEngine) -> None:
    engine.afflict("html")
    pace = Pace(look_s=0.05, proof_s=0.5, least_s=0.2, idle_s=0.2)
    async with watching(engine, pace=pace) as (_, task):
        assert "text/html" in await named(task)


async def test_one_that_compiles_is_borne(engine: FakeEngine) -> None:
    """Its proof came late, but processes of it have begun since its last token."""
    engine.afflict("hang")
    pace = Pace(look_s=0.05, proof_s=2.2, least_s=0.2)
    async with watching(engine, lambda: Seen(1), pace, youngest=lambda: 0.1) as (_, task):
        await left_alone(task, 2.7)


async def test_one_that_nobody_uses_and_that_compiles_for_its_first_token_is_borne(
    engine: FakeEngine,
) -> None:
    """Its compilers began while it was asked for the first time, and not since it was asked again."""
    engine.afflict("hang")
    pace = Pace(look_s=0.05, proof_s=0.4, least_s=0.2, idle_s=0.2)
    async with watching(engine, pace=pace, youngest=lambda: 0.6) as (_, task):
        await left_alone(task, 2.0)


async def test_a_stopped_process(mortal: FakeEngine) -> None:
    async with watching(mortal) as (_, task):
        os.kill(mortal.process.pid, signal.SIGSTOP)
        try:
            amiss = await named(task)
        finally:
            os.kill(mortal.process.pid, signal.SIGCONT)
    assert amiss.startswith("it stopped answering: it did not answer within")


async def test_one_that_answers_no_looks_while_its_users_hear_tokens(mortal: FakeEngine) -> None:
    def hears() -> Seen:
        return Seen(1, heard_at=time.monotonic())

    async with watching(mortal, hears) as (watch, task):
        os.kill(mortal.process.pid, signal.SIGSTOP)
        try:
            watch.doubt()
            await left_alone(task, 3.0)
        finally:
            os.kill(mortal.process.pid, signal.SIGCONT)


async def test_a_socket_that_is_gone(mortal: FakeEngine) -> None:
    socket = mortal.url.removeprefix("unix:")
    away = f"{socket}.away"
    async with watching(mortal) as (_, task):
        os.rename(socket, away)
        amiss = await named(task)
        os.rename(away, socket)
    assert amiss == "it stopped answering: the connection broke (ConnectError)"

"""Engines of our own that are found not to work: fenced, named and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from seekserve.engine.engine import State
from seekserve.engine.figures import UNTOLD
from seekserve.engine.probe import Probe
from seekserve.engine.vigil import Seen
from seekserve.engine.watch import Pace
from tests.engine.test_engine import Life, launched, living
from tests.support import alive, until

QUICK = Pace(look_s=0.05, proof_s=0.4, least_s=0.2)


@asynccontextmanager
async def ready(folder: Path, *knobs: str, **settings: object) -> AsyncIterator[Life]:
    life = launched(folder, *knobs, **settings)
    life.engine.pace = QUICK
    await life.engine.probe.__aexit__()
    life.engine.probe = Probe(life.engine.snapshot.address, timeout_s=0.4)
    async with living(life):
        await life.becomes(State.READY)
        yield life


async def afflict(life: Life, fault: str) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(life.folder / "engine.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as side:
        await side.get(f"/fault/{fault}")


async def fenced(life: Life) -> str:
    """Why the first life ended; the second is ready, and of the first nothing is left."""

    def again() -> bool:
        return life.engine.snapshot.restarts == 1 and life.engine.ready

    await until(again, "the engine to be ready again")
    first, second = life.births
    assert not alive(first) and alive(second)
    named = [s.cause for s in life.heard if s.state is State.STARTING and s.cause]
    assert life.engine.snapshot.cause == "", "it is well now"
    (cause,) = set(named)
    return cause


async def test_one_that_hangs_while_its_health_is_green(tmp_path: Path) -> None:
    async with ready(tmp_path) as life:
        life.engine.seen = lambda: Seen(requests=2)
        await afflict(life, "hang")
        assert "it hangs: no token for" in await fenced(life)
    assert any("it hangs" in line for line in life.lines), "the log names it"


async def test_one_that_is_stopped(tmp_path: Path) -> None:
    """It hears no TERM: it is killed at once, whatever its grace."""
    async with ready(tmp_path, stop_grace_s=60) as life:
        os.kill(life.births[0], signal.SIGSTOP)
        assert "it stopped answering" in await fenced(life)


async def test_one_whose_socket_is_gone(tmp_path: Path) -> None:
    async with ready(tmp_path) as life:
        await until(lambda: life.engine.figures != UNTOLD, "a first look")
        (tmp_path / "engine.sock").unlink()
        assert "its socket is gone, and it stopped answering" in await fenced(life)


async def test_one_that_answers_wrong(tmp_path: Path) -> None:
    async with ready(tmp_path) as life:
        await afflict(life, "html")
        life.engine.doubt()
        assert "answered with text/html" in await fenced(life)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, "it exited with code 0"),
        (signal.SIGKILL, "it was killed by SIGKILL"),
        (signal.SIGRTMIN, "it was killed by SIGRTMIN"),
        (signal.SIGRTMIN + 1, f"it was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
async def test_an_exit_of_any_code(tmp_path: Path, number: int, words: str) -> None:
    async with ready(tmp_path) as life:
        os.kill(life.births[0], number)
        assert words in await fenced(life)


async def test_a_start_that_stalls(tmp_path: Path) -> None:
    life = launched(tmp_path, "--ready-after", "300", stall_s=1, stop_grace_s=60)
    async with living(life):
        failed = await life.becomes(State.FAILED)
        assert "it stalled: silent for 1 s (stage: " in failed.cause
        assert "Initializing a V1 LLM engine" in failed.cause, "its last words"


async def test_one_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    async with ready(tmp_path, max_restarts=1) as life:
        os.kill(life.births[0], signal.SIGKILL)
        await until(lambda: len(life.births) == 2 and life.engine.ready, "its second life")
        os.kill(life.births[1], signal.SIGKILL)
        failed = await life.becomes(State.FAILED)
        assert "it was killed by SIGKILL" in failed.cause
        assert failed.restarts == 1
    assert len(life.births) == 2


async def test_one_that_hangs_again_and_again_is_given_up(tmp_path: Path) -> None:
    async with ready(tmp_path, max_restarts=0) as life:
        await afflict(life, "html")
        life.engine.doubt()
        failed = await life.becomes(State.FAILED)
        assert "text/html" in failed.cause

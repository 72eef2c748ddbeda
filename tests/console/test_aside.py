"""Slow looks: few at once, few in line, none that a stop waits for or that another's thread is taken by."""

from __future__ import annotations

import asyncio
import threading

import pytest

from seekserve.console.aside import Aside
from seekserve.errors import ConfigError, QueueFull, Stopping
from tests.support import PATIENCE_S, until


async def test_few_run_at_once_and_few_wait() -> None:
    aside, held, running = Aside(abreast=1, waiting=1), threading.Event(), list[int]()

    def look() -> int:
        running.append(1)
        held.wait(PATIENCE_S)
        return len(running)

    asked = [asyncio.create_task(aside(look)) for _ in range(2)]
    try:
        await until(lambda: running, "the first to begin")
        with pytest.raises(QueueFull):
            await aside(look)
        assert len(running) == 1
    finally:
        held.set()
    assert await asyncio.gather(*asked) == [1, 2]
    assert await aside(look) == 3


async def test_what_a_look_raises_is_told_to_whoever_asked() -> None:
    def look() -> None:
        raise ConfigError("no", "yes")

    with pytest.raises(ConfigError, match="no"):
        await Aside()(look)


async def test_a_stop_waits_for_no_look_and_takes_none_of_the_loops_threads() -> None:
    """Keys are read in those threads: a revoked one would hold on for as long as sums are made."""
    aside, held = Aside(), threading.Event()
    asked = [asyncio.create_task(aside(lambda: held.wait(PATIENCE_S))) for _ in range(20)]
    try:
        await asyncio.wait_for(asyncio.to_thread(int), PATIENCE_S / 2)
        aside.end()
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in ended} == {Stopping}
        assert not held.is_set()
    finally:
        held.set()

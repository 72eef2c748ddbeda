"""Counting tokens generates nothing: it takes no place from those who do, nor waits for one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.test_keyfile import behind_keys
from tests.support import FakeEngine, Gate, config, gateway, until


async def test_a_full_house_still_counts(engine: FakeEngine) -> None:
    limits = {"running": 1, "queued": 1, "wait_s": 20}
    async with gateway(config(engine.url, limits=limits)) as gate:
        long = asyncio.create_task(gate.ask("fault:hang_before_head"))
        waiting = asyncio.create_task(gate.ask("hi"))
        await until(lambda: engine.running == 1)
        asked = gate.chat("four")
        told = await gate.client.post("/v1/messages/count_tokens", json=asked)
        assert told.json() == {"input_tokens": 4}
        assert not waiting.done()
        long.cancel()
        assert (await waiting).status_code == 200
        await gate.at_rest()


async def test_counts_have_a_line_of_their_own(engine: FakeEngine) -> None:
    """More than there are places for wait their turn, and none holds up what generates."""
    limits = {"running": 2, "queued": 8, "wait_s": 20}
    async with gateway(config(engine.url, limits=limits)) as gate:
        slow = gate.chat("fault:hang_before_head")
        counts = [
            asyncio.create_task(gate.client.post("/v1/messages/count_tokens", json=slow))
            for _ in range(4)
        ]
        await until(lambda: engine.running == 2)
        assert (await gate.ask("hi")).status_code == 200
        assert engine.running == 2
        for count in counts:
            count.cancel()
        await asyncio.gather(*counts, return_exceptions=True)
        await until(lambda: engine.running == 0)


async def test_a_count_that_is_left_costs_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    async with behind_keys(engine, tmp_path, tokens_per_min=100_000) as gate:
        asked = gate.chat("fault:hang_before_head " + "x " * 1000)
        count = asyncio.create_task(gate.client.post("/v1/messages/count_tokens", json=asked))
        await until(lambda: engine.running == 1)
        count.cancel()
        await gate.at_rest()
        told = await gate.client.post("/v1/messages/count_tokens", json=gate.chat("four"))
        assert told.headers["x-ratelimit-remaining-tokens"] == "100000"
        assert await gate.figure("seekserve_key_tokens") == 0


@pytest.mark.parametrize("odd", [[1], "x", {}, -5, 1e300])
async def test_what_shapes_an_answer_alone_is_no_field_of_a_count(gate: Gate, odd: Any) -> None:
    names = ("max_tokens", "temperature", "top_p", "top_k", "stop_sequences")
    asked = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}
    told = await gate.client.post(
        "/v1/messages/count_tokens", json=asked | dict.fromkeys(names, odd)
    )
    assert (told.status_code, told.json()) == (200, {"input_tokens": 5})

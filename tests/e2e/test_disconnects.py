"""A client that leaves stops the engine's work, whenever it leaves."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from tests.e2e.server import KEY, MODEL, Served
from tests.e2e.waiting import until

LONG = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Count from 1 to 15"}],
    "max_tokens": 1800,
    "ignore_eos": True,
}
# The promise is one second; shared machines stall, and the test is not a stopwatch.
SOON_S = 5.0


def http(server: Served) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=200)
    return httpx.AsyncClient(
        base_url=server.base, headers=headers, timeout=60, limits=limits, trust_env=False
    )


async def first_token(client: httpx.AsyncClient) -> None:
    """Opens a long stream, reads until a token came, and leaves."""
    async with client.stream("POST", "/chat/completions", json=LONG | {"stream": True}) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and "reasoning_content" in line:
                return
    raise AssertionError("it ended without a token")


async def test_leaving_mid_stream(server: Served) -> None:
    async with http(server) as client:
        await first_token(client)
    until(lambda: server.running() == 0, "the engine still works", SOON_S)


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_before_the_first_byte(server: Served, stream: bool) -> None:
    async with http(server) as client:
        seen = [await left_while_running(server, client, stream) for _ in range(3)]
        assert any(seen), (
            "three answers of seconds each came without the engine once being seen at work"
        )
    until(lambda: server.running() == 0, "the engine still works", SOON_S)


async def left_while_running(server: Served, client: httpx.AsyncClient, stream: bool) -> bool:
    """Leaves as soon as the engine works on the request.

    False when the answer was whole before: a busy machine may hold each look at the engine for seconds.
    """
    # Several answers, so that it runs on for a while.
    body = LONG | {"stream": stream, "n": 8}
    request = asyncio.create_task(client.post("/chat/completions", json=body))
    seen = await asyncio.to_thread(seen_working, server, request)
    request.cancel()
    await asyncio.wait([request])
    if not request.cancelled():
        assert request.result().status_code == 200, request.result().text
    return seen


def seen_working(server: Served, request: asyncio.Task[httpx.Response]) -> bool:
    while not request.done():
        if server.running() > 0:
            return True
        time.sleep(0.05)
    return False


async def test_leaving_the_queue(server: Served) -> None:
    """More streams than places: those who wait leave without the engine ever hearing of them."""
    with server.ops() as ops:
        async with http(server) as client:
            bodies = json.dumps(LONG | {"stream": True})
            posts = [
                asyncio.create_task(client.post("/chat/completions", content=bodies))
                for _ in range(40)
            ]
            await asyncio.to_thread(until, lambda: depth(ops) > 0, "nobody had to wait")
            for post in posts:
                post.cancel()
            await asyncio.wait(posts)
        until(lambda: depth(ops) == 0, "they still wait", SOON_S)
        until(lambda: server.running() == 0, "the engine still works", SOON_S)


def depth(ops: httpx.Client) -> float:
    lines = ops.get("/metrics").text.splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("seekserve_queue_depth{")
    )

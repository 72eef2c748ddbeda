"""A client that leaves stops the work, wherever it left; nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.support import FakeEngine, Gate, config, gateway, post, raw, until

SOON_S = 1.0
"""The promise: an engine's running count is 0 this soon after a client left."""


@pytest.fixture
async def narrow(engine: FakeEngine) -> AsyncIterator[Gate]:
    """A gateway with one place."""
    async with gateway(config(engine.url, limits={"running": 1})) as serving:
        yield serving


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    yield
    me = {asyncio.current_task()}
    await until(lambda: not asyncio.all_tasks() - me, "every other task to end")


async def leave(gate: Gate, engine: FakeEngine, said: str, stream: bool) -> float:
    """Asks, waits until the engine works on it, hangs up; returns how long the work went on."""
    _, writer = await raw(gate.port, post(json.dumps(gate.chat(said, stream=stream)).encode()))
    await until(lambda: engine.running == 1, "the request to run")
    left = time.monotonic()
    writer.transport.abort()
    await until(lambda: engine.running == 0, "the engine to stop")
    return time.monotonic() - left


@pytest.mark.parametrize(
    ("said", "stream"),
    [
        ("fault:hang_before_head", True),
        ("fault:hang_before_head", False),
        ("fault:hang_mid_stream", True),
        ("fault:slow interval=0.05 tokens=400", True),
        ("fault:slow interval=0.05 tokens=400", False),
        ("fault:endless", True),
    ],
)
async def test_leaving_stops_the_engine(
    gate: Gate, engine: FakeEngine, said: str, stream: bool
) -> None:
    assert await leave(gate, engine, said, stream) < SOON_S
    await gate.at_rest()
    line = json.loads([line for line in gate.lines if '"chat"' in line][-1])
    assert (line["status"], line["finish"]) == (499, "client_gone")


async def test_leaving_while_queued_frees_the_line(narrow: Gate, engine: FakeEngine) -> None:
    gate = narrow
    body = json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode()
    _, first = await raw(gate.port, post(body))
    await until(lambda: engine.running == 1, "the first to run")
    seen = len(engine.state()["seen"])
    _, second = await raw(gate.port, post(body))

    async def queued(count: int) -> bool:
        return await gate.figure("seekserve_queue_depth") == count

    await until(lambda: queued(1), "the second to wait")
    second.transport.abort()
    await until(lambda: queued(0), "the second to be gone")
    first.transport.abort()
    await gate.at_rest()
    assert len(engine.state()["seen"]) == seen, "the one that left must never reach the engine"
    assert engine.running == 0


async def test_the_next_in_line_gets_the_place_of_one_that_left(
    narrow: Gate, engine: FakeEngine
) -> None:
    body = json.dumps(narrow.chat("fault:hang_mid_stream", stream=True)).encode()
    _, first = await raw(narrow.port, post(body))
    await until(lambda: engine.running == 1, "the first to run")
    second = asyncio.create_task(narrow.ask())
    await until(lambda: narrow.figure("seekserve_queue_depth"), "the second to wait")
    first.transport.abort()
    assert (await second).status_code == 200
    await narrow.at_rest()


async def test_leaving_while_sending_the_body(gate: Gate) -> None:
    request = post(b"{" * 100).replace(b"content-length: 100", b"content-length: 200")
    _, writer = await raw(gate.port, request)
    await until(lambda: gate.figure("seekserve_requests_in_flight"), "the request to begin")
    writer.transport.abort()
    await gate.at_rest()
    figures = await gate.figures()
    told = [name for name in figures if name.startswith("seekserve_requests_total{")]
    assert [name for name in told if "status=499" not in name] == [] != told


async def test_a_crowd_that_leaves_at_once(gate: Gate, engine: FakeEngine) -> None:
    body = json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode()
    crowd = [(await raw(gate.port, post(body)))[1] for _ in range(16)]  # 8 run, 8 wait
    await until(lambda: engine.running == 8, "as many to run as may")
    await until(lambda: gate.figure("seekserve_queue_depth"), "others to wait")
    for writer in crowd:
        writer.transport.abort()
    await gate.at_rest()
    await until(lambda: engine.running == 0, "the engine to stop")
    assert (await gate.ask()).status_code == 200


async def test_a_client_that_stays_after_its_answer_is_no_client_that_left(gate: Gate) -> None:
    for _ in range(20):
        assert (await gate.stream()).status_code == 200
    figures = await gate.figures()
    told = {k: v for k, v in figures.items() if k.startswith("seekserve_requests_total{")}
    assert list(told.values()) == [20] and "status=200" in next(iter(told))


@pytest.mark.parametrize("size", [70_000, 200_000, 1_000_000])
async def test_leaving_after_a_large_body_stops_the_engine(
    gate: Gate, engine: FakeEngine, size: int
) -> None:
    """uvicorn stops reading after 64 KiB of body; a socket that is not read does not tell its end."""
    for _ in range(5):
        assert await leave(gate, engine, "fault:hang_before_head " + "x" * size, False) < SOON_S
    await gate.at_rest()


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_with_a_second_request_behind_stops_the_engine(
    gate: Gate, engine: FakeEngine, stream: bool
) -> None:
    fault = "fault:hang_mid_stream" if stream else "fault:hang_before_head"
    request = post(json.dumps(gate.chat(fault, stream=stream)).encode())
    _, writer = await raw(gate.port, request)
    await until(lambda: engine.running == 1, "the request to run")
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await until(lambda: engine.running == 0, "the engine to stop")
    await gate.at_rest()


async def test_a_request_behind_another_is_answered_after_it(
    gate: Gate, engine: FakeEngine
) -> None:
    slow = post(json.dumps(gate.chat("fault:slow interval=0.02 tokens=10", stream=True)).encode())
    reader, writer = await raw(gate.port, slow)
    await until(lambda: engine.running == 1, "the request to run")
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    answers = await asyncio.wait_for(reader.read(), 10)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b"[DONE]") < answers.index(b'"live"')
    writer.close()
    await gate.at_rest()


async def test_a_flood_behind_an_answer_ends_the_connection(gate: Gate, engine: FakeEngine) -> None:
    hanging = post(json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode())
    _, writer = await raw(gate.port, hanging)
    await until(lambda: engine.running == 1, "the request to run")
    writer.write(b"x" * 200_000)
    await until(lambda: engine.running == 0, "the engine to stop")
    await gate.at_rest()

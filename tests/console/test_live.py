"""Who watches: the same ticks for all, so many seats, and an end when the server ends."""

from __future__ import annotations

import asyncio
import json
import signal
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seekserve.console.live import SEATS, Live
from seekserve.errors import QueueFull, Stopping
from seekserve.gateway import keychanges, keyfile
from seekserve.gateway.outlet import WRITER
from tests.console.doors import bearer, doors
from tests.console.test_usher import made
from tests.support import PATIENCE_S, FakeEngine, Gate, config, gateway, raw, until

LIVE = "/console/api/live"


@pytest.fixture
async def local(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Gate]:
    """An open gateway of this machine."""
    async with gateway(config(engine.url, state_dir=tmp_path)) as serving:
        yield serving


async def told(lines: AsyncIterator[str], count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events of a live stream."""
    found: list[tuple[str, dict[str, Any]]] = []
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            found.append((name, json.loads(line[6:])))
            if len(found) == count:
                break
    return found


async def test_one_tick_reaches_three_watchers(local: Gate) -> None:
    async def watch() -> list[tuple[str, dict[str, Any]]]:
        async with local.client.stream("GET", LIVE) as page:
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/event-stream")
            lines = page.aiter_lines()
            seen = await told(lines, 1)
            while [name for name, _ in seen].count("tick") < 2:
                seen += await told(lines, 1)
            return seen

    seen = await asyncio.gather(*(watch() for _ in range(3)))
    for events in seen:
        assert events[0][0] == "state" and events[0][1]["may_change"] is False
        tick = next(one for name, one in events if name == "tick")
        assert tick["engines"][0]["name"] == "engine-0"
        assert {"tokens_out", "waiting", "running", "kv:engine-0"} <= tick["values"].keys()
    ticks = [{one["at"] for name, one in events if name == "tick"} for events in seen]
    assert ticks[0] & ticks[1] & ticks[2]


async def test_who_came_early_hears_of_models_and_keys_that_come_later(
    mortal: FakeEngine, tmp_path: Path
) -> None:
    mortal.process.send_signal(signal.SIGSTOP)
    async with gateway(config(mortal.url, state_dir=tmp_path), ready=False) as gate:
        own = bearer((await gate.ops.get("/console")).json()["pass"])
        async with gate.client.stream("GET", LIVE, headers=own) as page:
            lines = page.aiter_lines()
            assert (await told(lines, 1))[0][1]["models"] == []
            mortal.process.send_signal(signal.SIGCONT)
            states = list[dict[str, Any]]()

            async def came(what: Callable[[dict[str, Any]], bool]) -> None:
                while not states or not what(states[-1]):
                    states.extend(one for name, one in await told(lines, 1) if name == "state")

            async with asyncio.timeout(PATIENCE_S):
                await came(lambda state: bool(state["models"]))
                assert states[-1]["door"] == "local" and states[-1]["may_change"] is True
                made(tmp_path, "ann")
                await came(lambda state: state["door"] == "closed")


async def test_there_are_so_many_seats(local: Gate) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(SEATS):
            page = await stack.enter_async_context(local.client.stream("GET", LIVE))
            assert page.status_code == 200
        refused = await local.client.get(LIVE)
        assert refused.status_code == 503
        assert "64 consoles" in refused.json()["error"]["message"]
        assert (await local.client.get("/console/api/state")).status_code == 200

    async def free() -> bool:
        async with local.client.stream("GET", LIVE) as page:
            return page.status_code == 200

    await until(free, "a seat")


async def test_a_stop_ends_watchers_at_once(engine: FakeEngine, tmp_path: Path) -> None:
    settings = config(engine.url, state_dir=tmp_path, listen={"drain_s": 600})
    async with gateway(settings) as gate, gate.client.stream("GET", LIVE) as page:
        lines = page.aiter_lines()
        await told(lines, 1)
        idle, deaf = await raw(
            gate.port, f"GET {LIVE} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        )
        await idle.readline()
        gate.server.stop()
        async with asyncio.timeout(PATIENCE_S):  # which is long before the drain's end
            assert "event: event" not in [line async for line in lines]
        deaf.close()


async def test_one_that_does_not_read_misses_ticks_and_costs_nothing(local: Gate) -> None:
    """By hand, so that it takes no minutes: a stream that is stuck is told the last tick alone."""
    live, sent, room = Live(), list[bytes](), asyncio.Event()
    watcher = live.watcher(lambda: b"first;", lambda: True)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if len(sent) == 3:
            await room.wait()

    task = asyncio.create_task(watcher({"type": "http"}, receive, send))
    await until(lambda: len(sent) == 2)
    live.say(b"tick 1;", b"event 1;")
    await until(lambda: len(sent) == 3)
    tracemalloc.start()
    for number in range(2, 5000):
        live.say(b"tick %d;" % number + b"x" * 10_000, b"event %d;" % number)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8e6, f"{most / 1e6:.1f} MB of the 50 that were said"
    room.set()
    await until(lambda: len(sent) == 4)
    assert sent[3].count(b"tick") == 1 and b"tick 4999;" in sent[3]
    assert sent[3].count(b"event") == 64 and b"event 4999;" in sent[3]
    live.end()
    await task
    assert sent[-1] == b"" and len(live) == 0
    with pytest.raises(Stopping):
        live.watcher(lambda: b"", lambda: True)


async def test_a_stop_hangs_up_on_one_that_does_not_read() -> None:
    live, dropped = Live(), asyncio.Event()

    class Writer:
        def drop(self) -> None:
            dropped.set()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        if message.get("body"):
            await dropped.wait()

    scope = {"type": "http", "extensions": {WRITER: Writer()}}
    task = asyncio.create_task(live.watcher(lambda: b"first;", lambda: True)(scope, receive, send))
    await until(lambda: len(live) == 1)
    live.end()
    await task
    assert dropped.is_set() and len(live) == 0


async def test_no_seat_is_given_twice() -> None:
    live = Live(seats=0)
    with pytest.raises(QueueFull):
        live.watcher(lambda: b"", lambda: True)


async def test_a_watcher_is_shown_out_with_its_key(engine: FakeEngine, tmp_path: Path) -> None:
    own, path = bearer(made(tmp_path, "chief", "operator")), tmp_path / keyfile.NAME
    async with (
        doors(config(engine.url, state_dir=tmp_path)) as opened,
        opened.api.stream("GET", LIVE, headers=own) as page,
    ):
        lines = page.aiter_lines()
        await told(lines, 1)
        now = datetime.now(UTC)
        keyfile.edit(path, lambda known: keychanges.revoked(known, "chief", now))
        async with asyncio.timeout(PATIENCE_S):
            assert "event: state" not in [line async for line in lines]


async def test_a_look_at_its_head_takes_no_seat(local: Gate) -> None:
    head = await asyncio.wait_for(local.client.head(LIVE), PATIENCE_S)
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")

"""Who watches: the same ticks for all, so many seats, and an end when the server ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import FakeEngine, Gate, config, gateway


@pytest.fixture
async def local(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Gate]:
    """An open gateway of this machine."""
    async with gateway(config(engine.url, state_dir=tmp_path)) as serving:
        yield serving


async def told(page: httpx.Response, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events of a live stream."""
    found: list[tuple[str, dict[str, Any]]] = []
    name = ""
    async for line in page.aiter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            found.append((name, json.loads(line[6:])))
            if len(found) == count:
                break
    return found


async def test_one_tick_reaches_three_watchers(local: Gate) -> None:
    async def watch() -> list[tuple[str, dict[str, Any]]]:
        async with local.client.stream("GET", "/console/api/live") as page:
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/event-stream")
            return await told(page, 3)

    seen = await asyncio.gather(*(watch() for _ in range(3)))
    for (first, state), (second, tick), *_ in seen:
        assert (first, second) == ("state", "tick")
        assert state["side"] == "api" and state["may_change"] is False
        assert tick["engines"][0]["name"] == "engine-0"
    ticks = [{one["at"] for name, one in events if name == "tick"} for events in seen]
    assert ticks[0] & ticks[1] & ticks[2]

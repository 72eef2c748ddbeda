"""One browser for all, and servers with every door of the Console open: shared ones, and one to change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browsing import Visit, chromium, visit
from tests.console.doors import Doors, bearer, doors
from tests.support import FakeEngine, config


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@dataclass(frozen=True)
class House:
    """The server, and the browser that visits it."""

    browser: Browser
    doors: Doors
    engine: FakeEngine

    @property
    def root(self) -> str:
        return str(self.doors.api.base_url).rstrip("/")

    def operator(self, **how: Any) -> AbstractAsyncContextManager[Visit]:
        """One who came by the link."""
        return visit(self.browser, self.root, self.doors.own, **how)

    def stranger(self, **how: Any) -> AbstractAsyncContextManager[Visit]:
        return visit(self.browser, self.root, **how)


@asynccontextmanager
async def opened(browser: Browser, engine: FakeEngine, folder: Path) -> AsyncIterator[House]:
    async with doors(config(engine.url, state_dir=folder)) as found:
        yield House(browser, found, engine)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(
    browser: Browser, engine: FakeEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Without keys, for tests that make none."""
    async with opened(browser, engine, tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lived(
    browser: Browser, engine: FakeEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """With something to see: a key, an answer, a stream that broke, a refusal. To be looked at alone."""
    async with opened(browser, engine, tmp_path_factory.mktemp("lived")) as found:
        await life(found)
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(browser: Browser, engine: FakeEngine, tmp_path: Path) -> AsyncIterator[House]:
    """Of the test's own, to make keys in."""
    async with opened(browser, engine, tmp_path) as found:
        yield found


async def life(house: House) -> None:
    own = bearer(house.doors.own)
    made = await house.doors.api.post("/console/api/keys", json={"name": "team-a"}, headers=own)
    key = made.json()["key"]
    for said, by in (("hello", key), ("fault:drop_mid_stream", key), ("hello", "sk-seek-wrong")):
        chat = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": said}]}
        await house.doors.api.post("/v1/chat/completions", json=chat, headers=bearer(by))

"""One browser for all, and for each test a server of its own with every door of the Console open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser

from tests.browsing import Visit, chromium, visit
from tests.console.doors import Doors, doors
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


@pytest_asyncio.fixture(loop_scope="session")
async def house(browser: Browser, engine: FakeEngine, tmp_path: Path) -> AsyncIterator[House]:
    async with doors(config(engine.url, state_dir=tmp_path)) as opened:
        yield House(browser, opened, engine)

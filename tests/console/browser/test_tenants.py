"""Keys from the page: made and shown once, used, rotated, revoked; and what they came to, as a sheet."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.console.browser.conftest import House
from tests.console.browser.test_views import life
from tests.console.doors import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHAT = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}


async def asked(house: House, key: str) -> int:
    """The status of a request with it."""
    answer = await house.doors.api.post("/v1/chat/completions", json=CHAT, headers=bearer(key))
    return answer.status_code


async def shown(page: Page) -> str:
    """The text of a new key, which is there once."""
    place = page.get_by_role("main").get_by_text("sk-seek-")
    await expect(place).to_be_visible()
    return (await place.inner_text()).strip()

"""What happens is seen as it happens: streams that break, requests that are refused, engines that go."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browsing import visit
from tests.console.browser.conftest import House
from tests.console.doors import doors
from tests.support import FakeEngine, config

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_broken_stream_and_a_refusal_are_listed_as_they_happen(house: House) -> None:
    async with house.operator() as guest:
        page = await guest.open("events")
        events = page.get_by_role("list", name="Events")
        secret = "a prompt of mine"
        chat = {"model": "fake", "stream": True}
        said = [{"role": "user", "content": f"fault:drop_mid_stream {secret}"}]
        broken = await house.doors.api.post("/v1/chat/completions", json=chat | {"messages": said})
        row = events.get_by_role("listitem").filter(has_text=broken.headers["x-request-id"])
        await expect(row).to_contain_text("broken")
        refused = chat | {"model": "other", "messages": said}
        assert (await house.doors.api.post("/v1/chat/completions", json=refused)).status_code == 404
        await expect(events).to_contain_text("refused")
        await page.get_by_label("Kind").select_option("broken")
        await expect(events.get_by_role("listitem")).to_have_count(1)
        await page.get_by_label("Only events with these words").fill("no such words")
        await expect(events.get_by_role("listitem")).to_have_count(0)
        assert secret not in await page.content()
        guest.quiet()


async def test_an_engine_that_goes_is_seen(
    browser: Browser, mortal: FakeEngine, tmp_path: Path
) -> None:
    async with (
        doors(config(mortal.url, state_dir=tmp_path)) as opened,
        visit(browser, str(opened.api.base_url).rstrip("/"), opened.own) as guest,
    ):
        page = await guest.open()
        await expect(page.get_by_role("banner")).to_contain_text("ready")
        mortal.process.kill()
        await expect(page.get_by_role("banner")).not_to_contain_text("ready")
        await expect(page.get_by_role("article")).not_to_contain_text("ready")
        await guest.turn("events")
        events = page.get_by_role("list", name="Events")
        await expect(events.get_by_role("listitem").first).to_contain_text("engine")
        guest.quiet()


async def test_a_server_that_goes_is_told_and_its_figures_stay(house: House) -> None:
    async with house.operator() as guest:
        page = await guest.open()
        await expect(page.get_by_role("main")).to_contain_text("Tokens out")
        await page.route("**/console/api/live", lambda route: route.abort())
        await page.evaluate("location.hash = '#/events'")
        guest.quiet()

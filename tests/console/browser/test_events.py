"""What happens is seen as it happens: streams that break, requests that are refused, a line that is lost."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Route, expect

from tests.console.browser.conftest import House

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


async def test_a_lost_line_is_told_and_taken_up_again(house: House) -> None:
    told = (await house.doors.api.get("/console/api/state")).json()
    asked: list[Route] = []

    async def cut_off(route: Route) -> None:
        """Its first stream ends after a word, those after it do not begin."""
        asked.append(route)
        if len(asked) > 1:
            await route.abort("connectionrefused")
            return
        body = f"event: state\ndata: {json.dumps(told)}\n\n"
        await route.fulfill(body=body, content_type="text/event-stream")

    async with house.operator() as guest:
        await guest.page.route("**/console/api/live", cut_off)
        page = await guest.open()
        lost = page.get_by_role("status").filter(has_text="Trying again")
        await expect(lost).to_contain_text("The server does not answer.")
        await expect(page.get_by_role("main")).to_contain_text("Tokens out")
        await page.unroute_all(behavior="ignoreErrors")
        await expect(page.get_by_role("banner")).to_contain_text("ready")
        await expect(lost).to_be_hidden()
        assert all("ERR_CONNECTION_REFUSED" in line for line in guest.troubles), guest.troubles

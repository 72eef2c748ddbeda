"""Who is signed in: by the link, by the form, by nothing at all; and where the pass goes."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, expect

from tests.console.browser.conftest import House
from tests.console.doors import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def kept(page: Page, where: str) -> dict[str, str]:
    told: str = await page.evaluate(f"JSON.stringify({where})")
    found: dict[str, str] = json.loads(told)
    return found


async def test_the_pass_of_the_link_goes_nowhere_but_into_our_own_header(house: House) -> None:
    async with house.operator() as guest:
        page = await guest.open()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        assert page.url == f"{house.root}/console#/overview"
        for view in ("plan", "tenants", "events", "playground"):
            await guest.turn(view)
        held: set[str] = set()
        for request in guest.asked:
            told = await request.all_headers()
            assert house.doors.own not in request.url
            assert house.doors.own not in (request.post_data or "")
            holders = {name for name, value in told.items() if house.doors.own in value}
            ours = request.url.startswith(f"{house.root}/console/api/")
            assert holders == ({"authorization"} if ours else set())
            held |= holders
        assert held, "else no request was seen"
        assert await kept(page, "localStorage") == {}
        await page.get_by_role("button", name="Theme: as the system").click()
        assert await kept(page, "localStorage") == {"seekserve-theme": "dark"}
        assert await guest.context.cookies() == []
        guest.quiet()


async def test_a_tab_stays_signed_in_and_another_is_not(fresh: House) -> None:
    await fresh.doors.api.post(
        "/console/api/keys", json={"name": "a"}, headers=bearer(fresh.doors.own)
    )
    async with fresh.operator() as guest:
        page = await guest.open()
        await page.reload()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        guest.quiet()
        other = await guest.context.new_page()
        await other.goto(f"{fresh.root}/console")
        await expect(
            other.get_by_role("heading", name="Sign in to see this server")
        ).to_be_visible()


async def test_a_wrong_pass_is_refused_and_a_right_one_let_in(fresh: House) -> None:
    made = await fresh.doors.api.post(
        "/console/api/keys",
        json={"name": "chief", "scope": "operator"},
        headers=bearer(fresh.doors.own),
    )
    async with fresh.stranger() as guest:
        page = guest.page
        await page.goto(f"{fresh.root}/console#/tenants")
        main = page.get_by_role("main")
        for text in ("wrong" * 8, made.json()["key"]):
            await main.get_by_role("button", name="Sign in", exact=True).click()
            await page.get_by_label("Pass or key").fill(text)
            await page.keyboard.press("Enter")
            if text.startswith("wrong"):
                await expect(main.get_by_role("alert")).to_contain_text("neither the pass")
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        await expect(main).to_contain_text("chief")
        assert {line.split(" ")[0] for line in guest.troubles} <= {"error:"}
        assert all("401" in line for line in guest.troubles), guest.troubles


async def test_without_a_pass_one_may_look_and_not_change(house: House) -> None:
    async with house.stranger() as guest:
        page = await guest.open("tenants")
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        await expect(page.get_by_role("main")).to_contain_text("sign in", ignore_case=True)
        enabled = page.get_by_role("main").get_by_role("button", disabled=False)
        names = await enabled.all_inner_texts()
        assert not [name for name in names if "key" in name.lower()], names
        guest.quiet()


async def test_the_ops_port_shows_the_page_and_sends_chats_to_the_api(house: House) -> None:
    async with house.stranger() as guest:
        guest.root = str(house.doors.port.base_url).rstrip("/")
        page = await guest.open("playground")
        link = page.get_by_role("link", name=f"{house.root}/console")
        await expect(link).to_be_visible()
        guest.quiet()

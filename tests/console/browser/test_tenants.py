"""Keys from the page: made and shown once, used, rotated, revoked; and what they came to, as a sheet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browsing import new_key, stays, taken_key
from tests.console.browser.conftest import House
from tests.console.browser.test_views import OVER
from tests.console.doors import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")
PLAIN = "Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined })"
"""As over HTTP from another machine, where a page has no clipboard."""
CHAT = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}


async def asked(house: House, key: str) -> int:
    """The status of a request with it."""
    answer = await house.doors.api.post("/v1/chat/completions", json=CHAT, headers=bearer(key))
    return answer.status_code


async def test_a_key_is_made_used_rotated_and_revoked(fresh: House) -> None:
    async with fresh.operator() as guest:
        page = await guest.open("tenants")
        dialog = page.get_by_role("dialog")
        first = await new_key(page, "team-a", "enterprise")
        row = page.get_by_role("row").filter(has_text="team-a")
        await expect(row).to_contain_text("active")
        await expect(row).to_contain_text("enterprise")
        assert (await asked(fresh, first), await asked(fresh, first[:-1])) == (200, 401)

        await page.get_by_role("button", name="Rotate team-a").click()
        await dialog.get_by_role("combobox").select_option("not at all")
        await page.get_by_role("button", name="Make a new one").click()
        second = await taken_key(page)
        assert first != second
        assert (await asked(fresh, first), await asked(fresh, second)) == (401, 200)

        await page.get_by_role("button", name="Revoke team-a").click()
        await dialog.get_by_role("textbox").fill("team-b")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_be_visible()
        await dialog.get_by_role("textbox").fill("team-a")
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text("revoked")
        assert await asked(fresh, second) == 401
        guest.quiet()


async def test_a_key_is_safe_once_it_was_copied_and_not_before(fresh: House) -> None:
    async with fresh.operator() as guest:
        await guest.context.add_init_script(PLAIN)
        page = await guest.open("tenants")
        name = page.get_by_role("dialog").get_by_label("Name")
        await page.get_by_role("button", name="New key").click()
        await name.fill("team-a")
        await page.keyboard.press("Enter")
        place = page.get_by_label("The key", exact=True)
        await expect(place).to_contain_text("sk-seek-")
        text = await place.inner_text()

        await page.evaluate("document.execCommand = () => false")
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Select it")).to_be_visible()
        await stays(page, place, text)

        await page.evaluate("delete document.execCommand")
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        await page.get_by_role("button", name="New key").click()
        await name.focus()
        await page.keyboard.press("Control+V")
        await expect(name).to_have_value(text)
        guest.quiet()


async def test_a_key_of_a_class_that_is_gone_gets_the_default(fresh: House) -> None:
    async with fresh.operator() as guest:
        own = bearer(fresh.doors.own)
        asked = {"name": "team-g", "class": "gold"}
        await fresh.doors.api.post("/console/api/keys", json=asked, headers=own)
        page = await guest.open("tenants")
        row = page.get_by_role("row").filter(has_text="team-g")
        await page.get_by_role("button", name="Edit team-g").click()
        kind = page.get_by_role("dialog").get_by_label("Class")
        await expect(kind.locator("option:checked")).to_contain_text("gold, which this tier")
        await kind.select_option("")
        await page.get_by_role("button", name="Change it").click()
        await expect(row.locator("[data-name=Class]")).to_have_text("default")
        guest.quiet()


async def test_a_keys_last_day_is_shown_as_it_was_said(fresh: House) -> None:
    async with fresh.operator() as guest:
        own, last = bearer(fresh.doors.own), {}
        for name, expires in (("by-day", "2099-01-31"), ("by-time", "30d")):
            asked = {"name": name, "expires": expires}
            made = await fresh.doors.api.post("/console/api/keys", json=asked, headers=own)
            last[name] = made.json()["expires_at"]
        assert last["by-day"] == "2099-02-01T00:00:00Z"
        page = await guest.open("tenants")
        for name, day in (("by-day", "2099-01-31"), ("by-time", last["by-time"][:10])):
            await page.get_by_role("button", name=f"Edit {name}").click()
            await expect(page.get_by_role("dialog").get_by_label("Expires")).to_have_value(day)
            await page.get_by_role("button", name="Change it").click()
            await expect(page.locator("dialog")).to_have_count(0)
        told = (await fresh.doors.api.get("/console/api/keys", headers=own)).json()["keys"]
        assert {key["name"]: key["expires_at"] for key in told} == last
        guest.quiet()


async def test_a_hostile_name_is_refused_in_words(house: House) -> None:
    async with house.operator() as guest:
        page = await guest.open("tenants")
        await page.get_by_role("button", name="New key").click()
        await page.get_by_label("Name").fill("<img src=x onerror=alert(1)>")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
        await expect(page.locator("img")).to_have_count(0)
        assert all("422" in line or "400" in line for line in guest.troubles), guest.troubles
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_what_keys_used_is_a_table_and_a_sheet(lived: House, tmp_path: Path) -> None:
    async with lived.operator() as guest:
        page = await guest.open("tenants")
        figures = page.get_by_role("region", name="Usage in figures")
        await expect(figures.get_by_role("row").filter(has_text="team-a")).to_contain_text(
            "0.00 USD"
        )
        async with page.expect_download() as found:
            await page.get_by_role("button", name="CSV").click()
        download = await found.value
        await download.save_as(tmp_path / "usage.csv")
        rows = list(csv.DictReader((tmp_path / "usage.csv").read_text().splitlines()))
        assert "team-a" in {row.get("name") or row.get("key") for row in rows}, rows
        assert await page.evaluate(OVER) <= 0
        guest.quiet()

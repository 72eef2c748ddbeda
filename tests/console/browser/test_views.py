"""Every view in every look: nothing goes wrong, everybody can use it, nothing hangs over the edge."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browsing import PHONE, WIDE, Theme
from tests.console.browser.axe import judged
from tests.console.browser.conftest import House

pytestmark = pytest.mark.asyncio(loop_scope="session")
VIEWS = ("overview", "plan", "playground", "tenants", "events")
FIRST = {
    "overview": "Tokens per second",
    "plan": "engine-0",
    "playground": "Nothing that is said here is kept",
    "tenants": "team-a",
    "events": "refused",
}
"""What a view shows once it is whole."""
TALL = """[...document.querySelectorAll("td button")]
  .filter((one) => one.offsetHeight > 48).map((one) => one.innerText)"""
"""Buttons whose words were broken over lines."""
OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def main(page: Page) -> Locator:
    return page.get_by_role("main")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_every_view_in_every_look(lived: House, theme: Theme, size: dict[str, int]) -> None:
    async with lived.operator(theme=theme, viewport=size) as guest:
        page = await guest.open()
        for view in VIEWS:
            await guest.turn(view)
            await expect(main(page)).to_contain_text(FIRST[view])
            assert await judged(page) == [], view
            assert await page.evaluate(OVER) <= 0, f"{view} is too wide"
            assert await page.evaluate(TALL) == []
            assert view.title() in await page.title()
        guest.quiet()


async def test_all_by_keyboard(house: House) -> None:
    async with house.operator() as guest:
        page = guest.page
        await page.goto(f"{house.root}/console#pass={house.doors.own}")
        await expect(main(page)).to_contain_text("Tokens out")

        async def reach(name: str, key: str = "Tab") -> None:
            """Tabs until something of that name has the focus, and sees that it is shown."""
            for _ in range(60):
                await page.keyboard.press(key)
                focus = page.locator(":focus")
                if not await focus.count():
                    continue
                words = await focus.get_attribute("aria-label") or await focus.inner_text()
                outline = await focus.evaluate("e => getComputedStyle(e).outlineStyle")
                assert outline != "none" or await focus.evaluate("e => e.id === 'main'"), words
                if words.startswith(name):
                    return
            raise AssertionError(f"{name} cannot be reached")

        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text("Skip to the content")
        for view in ("Plan", "Tenants", "Events", "Playground"):
            await page.evaluate("document.activeElement.blur()")
            await reach(view)
            await page.keyboard.press("Enter")
            await expect(page.locator("[aria-current=page]")).to_have_text(view)
        await expect(page.get_by_label("Message")).to_be_visible()
        await page.get_by_label("Message").focus()
        await page.keyboard.type("hello")
        await page.keyboard.press("Enter")
        await expect(main(page)).to_contain_text("finish: stop")
        await reach("Code", "Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await judged(page) == []
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.locator(":focus")).to_have_text("Code")
        guest.quiet()


async def test_the_theme_is_turned_and_kept(house: House) -> None:
    async with house.stranger(theme="light") as guest:
        page = await guest.open()
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        light = await page.evaluate(ground)
        await page.get_by_role("button", name="Theme").click()
        dark = await page.evaluate(ground)
        assert light != dark
        await page.reload()
        await expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert await page.evaluate(ground) == dark
        guest.quiet()


async def test_the_judge_is_awake(house: House) -> None:
    async with house.stranger() as guest:
        await guest.page.set_content("<html lang=en><title>x</title><main><button></button></main>")
        (found,) = await judged(guest.page)
        assert found.startswith("button-name")

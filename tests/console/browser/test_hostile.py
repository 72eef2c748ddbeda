"""What others say is text, wherever it is shown: no element is made of it, and none of it runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browsing import PHONE, visit
from tests.console.browser.axe import judged
from tests.console.browser.conftest import House
from tests.console.browser.test_views import OVER, VIEWS
from tests.console.doors import bearer, doors
from tests.support import config, fake_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")
BAD = """<x-evil onclick=alert(1)>'"</script></style><script>alert(2)</script><img src=x onerror=alert(3)>"""
WORDS_OF_OURS = {"kind", "level", "state", "side", "door", "currency", "by", "since", "scope"}
"""Of a fixed choice; the server alone writes them."""
DATE = re.compile(r"\d{4}-\d\d-\d\d")


def spoilt(value: Any, name: str = "") -> Any:
    """Every text in what the server tells, with markup after it."""
    if isinstance(value, dict):
        return {one: spoilt(said, one) for one, said in value.items()}
    if isinstance(value, list):
        return [spoilt(one, name) for one in value]
    keeps = name in WORDS_OF_OURS or not isinstance(value, str) or DATE.match(value)
    return value if keeps else value + BAD


async def nothing_made(page: Page) -> None:
    for made in ("x-evil", "img", "main script", "[onclick]", "[onerror]"):
        await expect(page.locator(made)).to_have_count(0)


async def test_hostile_words_of_the_server_are_words(lived: House) -> None:
    own = bearer(lived.doors.own)
    state = (await lived.doors.api.get("/console/api/state", headers=own)).json()
    engine = state["engines"][0]
    engine |= {"state": "failed", "cause": "it failed ", "remedy": "mend it ", "stage_words": "so "}
    state["engines"].append(engine | {"name": "other", "state": "starting", "stage": "loading"})

    async def live(route: Route) -> None:
        body = f"event: state\ndata: {json.dumps(spoilt(state))}\n\n"
        await route.fulfill(body=body, content_type="text/event-stream")

    async def told(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=spoilt(await answer.json()))

    async with lived.operator(viewport=PHONE) as guest:
        await guest.page.route("**/console/api/*", told)
        await guest.page.route("**/console/api/live", live)
        page = await guest.open()
        for view in VIEWS:
            await guest.turn(view)
            where = page.get_by_role("main")
            if view != "playground":
                await expect(where).to_contain_text("<img src=x onerror=alert(3)>")
            await nothing_made(page)
            assert await judged(page) == [], view
            assert await page.evaluate(OVER) <= 0, f"{view} is too wide"
        guest.quiet()
        await page.unroute_all(behavior="ignoreErrors")


async def test_a_hostile_name_of_a_model_is_a_name(browser: Browser, tmp_path: Path) -> None:
    with fake_engine(tmp_path, "--model", BAD) as engine:
        async with (
            doors(config(engine.url, state_dir=tmp_path)) as opened,
            visit(browser, str(opened.api.base_url).rstrip("/"), opened.own) as guest,
        ):
            page = await guest.open()
            await expect(page.get_by_role("main")).to_contain_text(BAD)
            await guest.turn("playground")
            await expect(page.locator(".talk-head select")).to_have_value(BAD)
            await page.get_by_label("Message").fill("hello")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("article").nth(1)).to_contain_text("finish: stop")
            assert engine.asked["model"] == BAD
            await page.get_by_role("button", name="Code", exact=True).first.click()
            text = await page.get_by_label("Program", exact=True).inner_text()
            body = text.partition("<<'JSON'\n")[2].rpartition("JSON")[0]
            assert json.loads(body)["model"] == BAD
            await nothing_made(page)
            guest.quiet()

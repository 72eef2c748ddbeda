"""The Console before a real engine: it comes up, talks, works, is killed, and all of it is seen."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.browsing import Visit, chromium, new_key, visit
from tests.e2e.server import KEY, MODEL, Served, serve
from tests.e2e.test_lifecycle import children

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM installed"),
]
START_MS = 180_000
STAGES = re.compile(r"launch [\d.]+ s · configure [\d.]+ s · load [\d.]+ s · warm-up [\d.]+ s")
"""What its start came to: weights are loaded in less time than passes between two looks at the page."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


def own(server: Served) -> str:
    """The pass of this start, as `seekserve console` gets it."""
    with server.ops() as ops:
        told: dict[str, str] = ops.get("/console").json()
    assert told["url"] == f"{server.root}/console"
    return told["pass"]


async def listening(server: Served) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"{server.root}/console")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def engine_of(server: Served) -> int:
    """The process that the server began, not those that this began."""
    family = children(server.process.pid)
    (first,) = family.difference(*(children(one) for one in family))
    return first


async def test_it_comes_up_serves_a_new_key_is_killed_and_comes_back(browser: Browser) -> None:
    with serve("--tier", "demo") as server:
        await listening(server)
        async with visit(browser, server.root, own(server)) as guest:
            page = await guest.open()
            await comes_up(page)
            await serves_a_new_key(guest, server)
            os.kill(engine_of(server), signal.SIGKILL)
            await comes_back(await guest.turn("overview"))
            events = (await guest.turn("events")).get_by_role("list", name="Events")
            await expect(events).to_contain_text("starting: it was killed by SIGKILL")
            await expect((await guest.turn("plan")).get_by_role("main")).to_contain_text("engine-0")
            guest.quiet()


async def comes_up(page: Page) -> None:
    card = page.get_by_role("article")
    await expect(card).to_contain_text("starting")
    await expect(page.get_by_role("banner")).to_contain_text("starting")
    await expect(card.get_by_role("progressbar", name="loaded")).to_be_visible()
    await expect(card).to_contain_text("reading the model's configuration", timeout=START_MS)
    await expect(card).to_contain_text("ready", timeout=START_MS)
    await expect(card).to_contain_text(STAGES)
    await expect(card.get_by_role("progressbar", name="KV cache")).to_be_visible()
    await expect(page.get_by_role("banner")).to_contain_text("ready")


async def serves_a_new_key(guest: Visit, server: Served) -> None:
    """Made, used and revoked; what it used is in the table."""
    page = await guest.turn("tenants")
    key = await new_key(page, "team-a")
    assert await asked(server, key) == 200
    figures = page.get_by_role("region", name="Usage in figures")
    async with asyncio.timeout(20):  # rows are booked some at a time
        while not await figures.get_by_role("row").filter(has_text="team-a").count():
            await page.get_by_role("button", name="24 hours").click()
            await asyncio.sleep(0.5)

    await page.get_by_role("button", name="Revoke team-a").click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("team-a")
    await page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="Rotate team-a"))
    await expect(row).to_contain_text("revoked")
    assert await asked(server, key) == 401


async def asked(server: Served, key: str) -> int:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "What is 17 + 25?"}]}
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server.base, headers=headers, trust_env=False) as client:
        answer = await client.post("/chat/completions", json=body, timeout=60)
    return answer.status_code


async def comes_back(page: Page) -> None:
    card = page.get_by_role("article")
    await expect(fact(card, "Restarts")).to_have_text("1", timeout=60_000)
    await expect(card).to_contain_text("starting")
    await expect(card.get_by_role("progressbar", name="loaded")).to_be_visible()
    await expect(card).to_contain_text("ready", timeout=START_MS)
    await expect(page.get_by_role("banner")).to_contain_text("ready")


def fact(card: Locator, name: str) -> Locator:
    return card.locator("dl div", has=card.page.get_by_text(name, exact=True)).locator("dd")


async def test_a_chat_streams_with_its_thinking_folded(browser: Browser, server: Served) -> None:
    async with visit(browser, server.root, own(server)) as guest:
        page = await guest.open("playground")
        await page.get_by_label("API key").fill(KEY)
        answer = await say(page, "What is 17 + 25?")
        await expect(answer.locator("summary")).to_contain_text("Thought for")
        await expect(answer.locator(".thought")).to_be_hidden()
        await expect(answer.locator(".said")).to_contain_text("42")
        await expect(answer).to_contain_text("finish: stop")
        longer = await say(page, "Count from 1 to 20", 3)  # a short one may come at once
        await expect(longer.locator(".said")).to_contain_text("19, 20")
        await expect(longer).to_contain_text("tokens/s")
        guest.quiet()


async def test_a_tool_round_trip(browser: Browser, server: Served) -> None:
    async with visit(browser, server.root, own(server)) as guest:
        page = await guest.open("playground")
        await page.get_by_label("API key").fill(KEY)
        await page.get_by_role("button", name="A tool").click()
        answer = page.get_by_role("article").nth(1)
        await expect(answer.locator(".call")).to_contain_text("get_weather")
        await expect(answer.get_by_label("Arguments")).to_contain_text("Paris")
        await answer.get_by_role("button", name="Send the answers").click()
        last = page.get_by_role("article").nth(2)
        await expect(last).to_contain_text("finish: stop")
        await expect(last.locator(".said")).to_contain_text("21")
        guest.quiet()


async def say(page: Page, text: str, place: int = 1) -> Locator:
    """The answer, which is the turn at `place`."""
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")
    return page.get_by_role("article").nth(place)


async def test_the_plots_move_under_load(browser: Browser, server: Served) -> None:
    said = [{"role": "user", "content": "Count from 1 to 15"}]
    body = {"model": MODEL, "messages": said, "max_tokens": 1800, "ignore_eos": True}

    async def load(client: httpx.AsyncClient) -> None:
        while True:
            await client.post("/v1/chat/completions", json=body)

    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        visit(browser, server.root, own(server)) as guest,
        httpx.AsyncClient(base_url=server.root, headers=headers, timeout=60) as client,
    ):
        page = await guest.open()
        plot = page.get_by_role("img", name="Tokens per second")
        await expect(plot.locator("canvas")).to_be_visible()
        working = [asyncio.create_task(load(client)) for _ in range(2)]
        try:
            out = page.locator(".tile", has_text="Tokens out").locator(".big")
            await expect(out).not_to_have_text("0", timeout=60_000)
            await expect(plot).not_to_have_attribute("aria-label", "Tokens per second: out 0, in 0")
            before = await plot.locator("canvas").evaluate("c => c.toDataURL()")
            async with asyncio.timeout(30):
                while before == await plot.locator("canvas").evaluate("c => c.toDataURL()"):
                    await asyncio.sleep(0.1)
            running = page.locator(".tile", has_text="Running").locator(".big")
            await expect(running).to_have_text("2")
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        await expect(running).to_have_text("0", timeout=60_000)
        guest.quiet()

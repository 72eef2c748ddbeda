"""Pictures of every view of the Console, before the demo tier under a little load: `make pictures`.

They go into build/pictures, to be looked at; those that the README shows go into deploy/pictures, in few
colours, which keeps them small.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.browsing import PHONE, WIDE, Theme, Visit, chromium, visit
from tests.e2e.server import KEY, MODEL, Served, serve

ROOT = Path(__file__).parents[2]
ALL, SHOWN = ROOT / "build" / "pictures", ROOT / "deploy" / "pictures"
VIEWS = ("overview", "plan", "playground", "tenants", "events")
SIZES = {"wide": WIDE, "phone": PHONE}
THEMES: tuple[Theme, ...] = ("dark", "light")
BEST = ("overview-dark-wide", "playground-light-wide")
COLOURS, MOST = 256, 120_000
TENANTS = {"research": "enterprise", "website": "public", "nightly": "batch"}
QUESTIONS = (
    "What is 17 + 25?",
    "Count from 1 to 15",
    "What is the capital of France?",
    "What is 40 + 44?",
)
LOAD_S = 60


async def tenants(client: httpx.AsyncClient, own: str) -> list[str]:
    """A key of each class, and one for operators."""
    made = []
    bodies: list[dict[str, Any]] = [{"name": name, "class": of} for name, of in TENANTS.items()]
    bodies[1] |= {"requests_per_min": 60}
    bodies.append({"name": "on-call", "scope": "operator"})
    for body in bodies:
        head = {"authorization": f"Bearer {own}"}
        answer = await client.post("/console/api/keys", json=body, headers=head)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["key"])
    return made[: len(TENANTS)]


async def tenant(client: httpx.AsyncClient, key: str, pause_s: float) -> None:
    """Asks for ever."""
    head = {"authorization": f"Bearer {key}"}
    while True:
        for question in QUESTIONS:
            said = [{"role": "user", "content": question}]
            body = {"model": MODEL, "messages": said, "stream": True}
            await client.post("/v1/chat/completions", json=body, headers=head)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def load(server: Served, own: str) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=server.root, timeout=60, trust_env=False) as client:
        keys = await tenants(client, own)
        wrong = {"model": "deepseek-v5", "messages": [{"role": "user", "content": "hello"}]}
        await client.post(
            "/v1/chat/completions", json=wrong, headers={"authorization": f"Bearer {keys[1]}"}
        )
        pauses = (0.0, 0.3, 0.1)
        work = [asyncio.create_task(tenant(client, *one)) for one in zip(keys, pauses, strict=True)]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def chat(page: Page) -> None:
    """Two turns, the second with a tool."""
    if await page.get_by_label("API key").is_visible():
        await page.get_by_label("API key").fill(KEY)
    await page.get_by_role("button", name="17 + 25").click()
    await expect(page.get_by_role("article").nth(1)).to_contain_text("finish: stop")
    await page.get_by_role("article").nth(1).locator("summary").click()
    await page.get_by_label("Tools").evaluate("box => box.click()")
    await page.get_by_label("Message").fill("What is the weather in Paris?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article").nth(3)).to_contain_text("calls tools")


async def whole(page: Page, to: Path) -> None:
    """All of a view, in a window as high: what is out of sight is not drawn."""
    size = page.viewport_size
    assert size
    height = await page.evaluate("document.documentElement.scrollHeight")
    if height > size["height"]:
        await page.set_viewport_size({"width": size["width"], "height": height})
        await asyncio.sleep(0.5)
        await page.screenshot(path=to)
        await page.set_viewport_size(size)


async def taken(guest: Visit, look: str) -> None:
    page = await guest.open()
    for view in VIEWS:
        await guest.turn(view)
        if view == "playground":
            await chat(page)
        elif view == "tenants":
            await expect(page.get_by_role("region", name="Usage in figures")).to_be_visible()
        await page.mouse.move(0, 0)
        await asyncio.sleep(1.5)  # a tick more, for what is asked for when a view opens
        await page.screenshot(path=ALL / f"{view}-{look}.png")
        await whole(page, ALL / f"{view}-{look}-whole.png")


async def all_looks(browser: Browser, server: Served, own: str) -> None:
    for theme in THEMES:
        for name, size in SIZES.items():
            async with visit(browser, server.root, own, theme, viewport=size) as guest:
                await taken(guest, f"{theme}-{name}")
                guest.quiet()


def kept() -> None:
    """The best of them, in few colours."""
    SHOWN.mkdir(exist_ok=True)
    for name in BEST:
        to = SHOWN / f"console-{name.removesuffix('-wide')}.png"
        picture = Image.open(ALL / f"{name}.png").convert("RGB")
        picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            to, optimize=True
        )
        print(f"{to.relative_to(ROOT)}: {to.stat().st_size:,} bytes")
        assert to.stat().st_size < MOST


async def main() -> None:
    ALL.mkdir(parents=True, exist_ok=True)
    with serve("--tier", "demo") as server:
        await asyncio.to_thread(server.wait_ready)
        with server.ops() as ops:
            own = ops.get("/console").json()["pass"]
        async with chromium() as browser, load(server, own):
            await asyncio.sleep(LOAD_S)
            await all_looks(browser, server, own)
    kept()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""A real Chromium for tests: one a worker, a context a visit, and everything that went wrong in it.

Playwright drives the browser that Debian packages; it downloads none of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Dialog,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

PATIENCE_MS = 20_000
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""
Theme = Literal["dark", "light"]

expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips where there is none."""
    found = shutil.which("chromium")
    if not found:
        pytest.skip("chromium is not installed: make test-tools brings it")
    flags = ["--no-sandbox"] if not os.getuid() else []  # root has no other way to run one
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found, args=flags)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A tab in a context of its own. `troubles` is what the browser complained of, `asked` all it asked for;
    `own` is what signed it in.
    """

    page: Page
    context: BrowserContext
    root: str
    own: str = ""
    troubles: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    async def open(self, view: str = "overview") -> Page:
        """By the link of the pass where there is one, as `seekserve console` prints it."""
        await self.page.goto(f"{self.root}/console" + (f"#pass={self.own}" if self.own else ""))
        return await self.turn(view)

    async def turn(self, view: str) -> Page:
        tab = self.page.get_by_role("navigation").get_by_role("link", name=view.title())
        await tab.click()
        await expect(tab).to_have_attribute("aria-current", "page")
        return self.page

    def abroad(self) -> list[str]:
        """Whom it asked that is not the server."""
        urls = [request.url for request in self.asked]
        known = (f"{self.root}/", f"blob:{self.root}/", "data:image/")
        return [url for url in urls if not url.startswith(known)]

    def quiet(self) -> None:
        """Nothing was complained of, and nobody else asked."""
        assert not self.troubles, self.troubles
        assert not self.abroad(), self.abroad()

    def watch(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("dialog", self._dialog)
        self.page.on(
            "console",
            lambda said: (
                self.troubles.append(f"{said.type}: {said.text} {said.location['url']}")
                if said.type in ("error", "warning")
                else None
            ),
        )

    def _failed(self, request: Request) -> None:
        """But for what the page itself ends: a chat that is stopped, the live stream as it is left."""
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"failed: {request.method} {request.url} {request.failure}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@asynccontextmanager
async def visit(
    browser: Browser, root: str, own: str = "", theme: Theme = "dark", **how: Any
) -> AsyncIterator[Visit]:
    context = await browser.new_context(
        color_scheme=theme,
        **({"viewport": WIDE, "reduced_motion": "reduce"} | how),
    )
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(VIOLATIONS)
    page = await context.new_page()
    one = Visit(page, context, root, own)
    one.watch()
    try:
        yield one
    finally:
        await context.close()


async def new_key(page: Page, name: str, traffic_class: str = "") -> str:
    """Made in the Console's view of tenants."""
    await page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(name)
    if traffic_class:
        await dialog.get_by_label("Class").select_option(traffic_class)
    await page.keyboard.press("Enter")
    return await taken_key(page)


async def stays(page: Page, place: Locator, text: str) -> None:
    """However often Esc is pressed: a browser may let the first be refused, and not the third."""
    for _ in range(4):
        await page.keyboard.press("Escape")
        await expect(place).to_have_text(text)


async def taken_key(page: Page) -> str:
    """The text of a new key, which is there once: Esc does not lose it."""
    place = page.get_by_label("The key", exact=True)
    await expect(place).to_contain_text("sk-seek-")
    text = await place.inner_text()
    await stays(page, place, text)
    await page.get_by_role("button", name="I have it").click()
    await expect(page.locator("dialog")).to_have_count(0)
    assert text not in await page.content()
    return text

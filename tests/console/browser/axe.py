"""axe-core, the judge of whether a page can be used by everybody, from npm and kept in build/."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

ROOT = Path(__file__).parents[3]
VERSION = "4.14.1"
KEPT = ROOT / "build" / f"axe-core-{VERSION}.min.js"
ASKED = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))"""


def source() -> str:
    """Its text; the test is skipped without npm."""
    if not KEPT.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed: make test-tools brings it")
        KEPT.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
            words = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
            subprocess.run(words, cwd=folder, check=True, timeout=180, capture_output=True)
            archive = next(Path(folder).glob("*.tgz"))
            shutil.unpack_archive(archive, folder, filter="data")
            (Path(folder) / "package" / "axe.min.js").replace(KEPT)
    return KEPT.read_text()


async def judged(page: Page) -> list[str]:
    """Every serious or critical violation of the page as it is now."""
    if not await page.evaluate("'axe' in globalThis"):
        await page.evaluate(source())
    found: list[Any] = await page.evaluate(ASKED)
    return [str(one) for one in found]

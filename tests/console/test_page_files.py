"""What the page is made of: small, of this origin, and its one library as npm has it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "server" / "seekserve" / "console" / "page"
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
OURS = [path for path in FILES if path.parent == PAGE]
SUMS = ROOT / "requirements" / "vendor.sha256"
MOST = 200_000
NAMESPACE = "http://www.w3.org/2000/svg"


def test_all_of_it_is_under_200_kb() -> None:
    assert sum(path.stat().st_size for path in FILES) < MOST


def test_the_library_is_what_make_vendor_fetches() -> None:
    lines = [line.split() for line in SUMS.read_text().splitlines()]
    told = {name: digest for digest, name in lines}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES}
    assert told == {name: there[name] for name in told}
    assert set(told) == {path.name for path in FILES if path.parent.name == "vendor"}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_from_elsewhere_and_no_text_becomes_markup(path: Path) -> None:
    text = path.read_text()
    abroad = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"(?m)^\s*//.*$", "", text))
    assert [one for one in abroad if not NAMESPACE.startswith(one)] == []
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
    ):
        assert word not in text
    if path.suffix == ".html":
        assert "<style" not in text and " style=" not in text and not re.search(r"\son\w+=", text)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))

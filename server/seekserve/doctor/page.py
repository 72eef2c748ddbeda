"""How findings are shown: a table for people, plain data for programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from seekserve.doctor.findings import Finding, Grade, worst

COLOURS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.BAD: "bold red"}


def table(found: Sequence[Finding]) -> Table:
    page = Table(box=None, header_style="bold", pad_edge=False, show_lines=False)
    page.add_column("")
    page.add_column("about")
    page.add_column("what was found, and how to mend it", overflow="fold")
    for one in found:
        words = Text(one.said)
        if one.mend:
            words.append(f"\n-> {one.mend}", style="dim")
        page.add_row(Text(one.grade.value, style=COLOURS[one.grade]), one.about, words)
    return page


def summary(found: Sequence[Finding]) -> str:
    counts = {grade: sum(one.grade is grade for one in found) for grade in Grade}
    return f"{counts[Grade.BAD]} bad, {counts[Grade.WARN]} to look at, {counts[Grade.OK]} well."


def plain(found: Sequence[Finding]) -> dict[str, Any]:
    return {
        "worst": worst(found).value,
        "findings": [
            {"grade": one.grade.value, "about": one.about, "said": one.said, "mend": one.mend}
            for one in found
        ],
    }

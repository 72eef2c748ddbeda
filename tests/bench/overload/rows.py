"""One line of the table: a figure, its bar, and whether it is met."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """`told` is the figure in words, `met` None where there is no bar; `raw` goes into the JSON."""

    what: str
    told: str
    bar: str = ""
    met: bool | None = None
    note: str = ""
    raw: dict[str, Any] = field(default_factory=dict)


def missing(what: str, why: str) -> Row:
    """A figure that could not be taken, which is as bad as one that is missed."""
    return Row(what, "no figure", "", False, why)


def render(rows: Sequence[Row], about: str) -> Table:
    """The one table; its caption says what was run."""
    table = Table(box=box.SIMPLE_HEAD, caption=about, caption_justify="left")
    for title, justify in (("", "left"), ("figure", "right"), ("bar", "right"), ("", "left")):
        table.add_column(title, justify="right" if justify == "right" else "left")
    table.add_column("", style="dim")
    for row in rows:
        table.add_row(row.what, row.told, row.bar, _verdict(row.met), row.note)
    return table


def _verdict(met: bool | None) -> str:
    if met is None:
        return ""
    return "[green]met[/green]" if met else "[red]missed[/red]"

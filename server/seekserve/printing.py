"""What the verbs print: pages for people, JSON for programs, and how they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from seekserve.errors import StartError
from seekserve.plan import tables
from seekserve.plan.facts import Fact
from seekserve.plan.report import as_json, page
from seekserve.plan.wish import Plan
from seekserve.settings import Frozen

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PIPE = 160  # columns of what is not a terminal, or more where COLUMNS says so


def show(one: Plan, as_data: bool) -> None:
    if as_data:
        data(as_json(one))
    else:
        printed(page(one))


def show_all(plans: Sequence[Plan], as_data: bool) -> None:
    if as_data:
        best = tables.best(plans)
        data({"plans": [as_json(one) for one in plans], "best": best and best.subject.name})
    else:
        printed(tables.survey(plans))


def listed(entries: Sequence[Fact | Frozen], table: RenderableType, as_data: bool) -> None:
    if as_data:
        data([entry.model_dump(mode="json") for entry in entries])
    else:
        printed(table)


def data(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def printed(what: RenderableType) -> None:
    """Not cropped: a command must paste, however narrow the window. A pipe is no window: it is wide."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(PIPE, console.width))
    console.print(what, crop=False)


def printed_whole(table: Table) -> None:
    """Columns that do not wrap are not cut either: names and sums are there to be copied and found."""
    printed(tables.Whole(table))


@contextmanager
def told(as_data: bool = False) -> Iterator[None]:
    """A failure as a sentence on stderr, or as JSON on stdout where that was asked for."""
    try:
        yield
    except StartError as error:
        if as_data:
            data(error.told())
        else:
            from seekserve.screen import Screen  # its engine's words are slow to load

            Screen(Console(stderr=True)).failure(error)
        raise typer.Exit(error.exit_code) from error

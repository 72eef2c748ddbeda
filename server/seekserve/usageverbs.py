"""`usage`: who used what, and what it cost, from the ledger; also while the server runs."""

from __future__ import annotations

import csv
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.gateway import accounts, ledgerfile
from seekserve.gateway.accounts import COUNTS, Used, moment, totals
from seekserve.printing import Json, data, printed_whole, told


class By(StrEnum):
    KEY = "key"
    CLASS = "class"
    MODEL = "model"
    DAY = "day"


def usage(
    by: Annotated[By, typer.Option(help="What to add up by; days are UTC.")] = By.KEY,
    since: Annotated[
        str, typer.Option(metavar="7d|DATE", help="30m, 24h, 7d, 4w ago, or a UTC date 2026-01-31.")
    ] = "7d",
    as_data: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Say who used what, and what it cost: requests and tokens from the ledger.

    \b
      seekserve usage --by key --since 7d
      seekserve usage --by day --since 2026-01-01 --csv

    Answered requests got all of their answer; broken ones got a part, or their client left.
    """
    with told(as_data):
        if as_data and as_csv:
            raise ConfigError("--json and --csv cannot both be printed.", "Choose one.")
        start = moment(since, time.time())
        with ledgerfile.reading(state_folder() / ledgerfile.FILE) as db:
            rows = accounts.usage(db, by.value, start)
        if as_csv:
            _csv(by, rows)
        elif as_data:
            data(_plain(by, start, rows))
        else:
            printed_whole(_table(by, start, rows))


def _plain(by: By, start: float, rows: list[Used]) -> dict[str, Any]:
    since = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%SZ}"
    entries = [_entry(by.value, row) for row in rows]
    sums = [_entry("", row) for row in totals(rows)]
    return {"by": by.value, "since": since, "rows": entries, "totals": sums}


def _entry(by: str, row: Used) -> dict[str, Any]:
    told = row._asdict()
    name = told.pop("name")
    return ({by: name} if by else {}) | told


def _csv(by: By, rows: list[Used]) -> None:
    """Without a total, which whoever reads it would count twice."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow((by.value, *Used._fields[1:]))
    lines.writerows(row._replace(cost=round(row.cost, 9)) for row in rows)


def _table(by: By, start: float, rows: list[Used]) -> Table:
    since = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M}"
    table = Table(box=box.SIMPLE_HEAD, caption=f"since {since} UTC", caption_justify="left")
    table.add_column(by.value, no_wrap=True)
    for name in (*COUNTS, "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    table.add_section()
    for total in totals(rows):
        table.add_row(*_cells(total), style="bold")
    return table


def _cells(row: Used) -> list[str]:
    counts = [f"{getattr(row, name):,}" for name in COUNTS]
    return [escape(row.name), *counts, f"{row.cost:,.4f} {row.currency}"]

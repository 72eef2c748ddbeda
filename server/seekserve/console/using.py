"""Who used what, from the ledger, as the page draws it and as a sheet. For threads."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, get_args

from seekserve.errors import ConfigError
from seekserve.gateway import ledgerfile
from seekserve.gateway.accounts import By, Used, moment, totals, usage, usage_by_day

KEY_DAY = "key_day"
BYS: tuple[str, ...] = (*get_args(By), KEY_DAY)
MOST_ROWS = 10_000
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class Usage(NamedTuple):
    """`rows` with the day of each, empty where the sums are not by day and key."""

    by: str
    since: float
    rows: list[tuple[str, Used]]


def read(path: Path, by: str, since: str) -> Usage:
    """Raises ConfigError for what cannot be asked, and LedgerUnusable."""
    start = moment(since, time.time(), "since")
    if by not in BYS:
        raise ConfigError(f"Usage by {by[:40]!r} is not kept.", f"Ask by {', '.join(BYS)}.")
    with ledgerfile.reading(path) as db:
        if by == KEY_DAY:
            return Usage(by, start, usage_by_day(db, start, MOST_ROWS))
        rows = usage(db, by, start)[:MOST_ROWS]  # type: ignore[arg-type]
        return Usage(by, start, [("", row) for row in rows])


def told(found: Usage) -> dict[str, Any]:
    by_day = found.by == KEY_DAY
    rows = [({"day": day} if by_day else {}) | row._asdict() for day, row in found.rows]
    sums = [row._asdict() for row in totals(row for _, row in found.rows)]
    since = f"{datetime.fromtimestamp(found.since, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"by": found.by, "since": since, "rows": rows, "totals": sums}


def sheet(found: Usage) -> str:
    """CSV without a total, which whoever reads it would count twice."""
    page = io.StringIO()
    lines = csv.writer(page, lineterminator="\n")
    first = ("day", "key") if found.by == KEY_DAY else (found.by,)
    lines.writerow((*first, *Used._fields[1:]))
    for day, row in found.rows:
        name = (day, _cell(row.name)) if found.by == KEY_DAY else (_cell(row.name),)
        lines.writerow((*name, *row._replace(cost=round(row.cost, 9))[1:]))
    return page.getvalue()


def _cell(name: str) -> str:
    """A name that a spreadsheet would take for a formula is told as text."""
    return f"'{name}" if len(name) > 1 and name.startswith(FORMULAS) else name

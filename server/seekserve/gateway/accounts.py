"""What the ledger tells: who used what since when, and what each key has spent this month. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from seekserve.errors import ConfigError
from seekserve.gateway.ledgerfile import Connection

UNIT = 1_000_000_000
"""Costs as kept, per unit of the currency."""

MOST_MONTHS = 4  # whose sums are kept in memory
By = Literal["key", "class", "model", "day"]

_GROUPS: dict[By, str] = {
    "key": "key",
    "class": "class",
    "model": "model",
    "day": "strftime('%Y-%m-%d', time, 'unixepoch')",
}

_SUMS = """count(*), sum(status = 200 AND reason = ''),
    sum(status BETWEEN 400 AND 498 OR status = 503), 0, sum(prompt) AS prompt, sum(cached),
    sum(reasoning), sum(completion) AS completion, sum(cost) AS cost, currency FROM requests"""

SPAN = re.compile(r"(\d{1,6})([mhdw])")
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Used(NamedTuple):
    """What one key, class, model or day came to. Tokens by kind; `cost` in the currency's unit."""

    name: str
    requests: int
    answered: int
    refused: int
    broken: int
    prompt: int
    cached: int
    reasoning: int
    completion: int
    cost: float
    currency: str


COUNTS = Used._fields[1:9]


def usage(db: Connection, by: By, since: float) -> list[Used]:
    """What was used from `since` on (UTC epoch), the dearest first; days in their order."""
    order = "1" if by == "day" else "cost DESC, prompt + completion DESC, 1"
    rows = db.execute(
        f"SELECT {_GROUPS[by]}, {_SUMS} WHERE time >= ? GROUP BY 1, currency ORDER BY {order}",
        (since,),
    )
    return [_used(Used(*row)) for row in rows]


def usage_by_day(db: Connection, since: float, most: int) -> list[tuple[str, Used]]:
    """The same by day and key, the last `most` of them: the days in their order, each with its keys."""
    rows = db.execute(
        f"SELECT {_GROUPS['day']}, key, {_SUMS} WHERE time >= ? GROUP BY 1, 2, currency "
        "ORDER BY 1 DESC, cost DESC, 2 LIMIT ?",
        (since, most),
    ).fetchall()
    return [(row[0], _used(Used(*row[1:]))) for row in sorted(rows, key=lambda row: row[0])]


def moment(since: str, now: float, flag: str = "--since") -> float:
    """A span before `now` or a date, as a UTC epoch. Raises ConfigError."""
    if span := SPAN.fullmatch(since.strip()):
        return max(0.0, now - int(span[1]) * SECONDS[span[2]])
    try:
        date = datetime.strptime(since.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(
            f"{flag} {since[:40]!r} is neither a span nor a date.",
            "Say 30m, 24h, 7d or 4w, or a UTC date such as 2026-01-31.",
        ) from None
    if date.timestamp() > now:
        raise ConfigError(f"{flag} {since} is still to come.", "Give a day that has begun in UTC.")
    return date.timestamp()


def totals(rows: Iterable[Used]) -> list[Used]:
    """One for each currency there is."""
    found, rows = [], list(rows)
    for currency in sorted({row.currency for row in rows}):
        some = [row for row in rows if row.currency == currency]
        counts = {name: sum(getattr(row, name) for row in some) for name in COUNTS}
        cost = sum(row.cost for row in some)
        found.append(Used(name="total", **counts, cost=cost, currency=currency))
    return found


def _used(row: Used) -> Used:
    return row._replace(
        broken=row.requests - row.answered - row.refused, cost=row.cost / UNIT, name=row.name or "-"
    )


def spent_in(db: Connection, month: str, currency: str) -> dict[str, int]:
    """Costs by key in a month such as 2026-01, in billionths of the currency's unit."""
    rows = db.execute(
        "SELECT key, cost FROM spent WHERE month = ? AND currency = ?", (month, currency)
    )
    return dict(rows.fetchall())


def month_of(when: float) -> str:
    """The month of a UTC epoch, such as 2026-01."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m}"


def month_end(when: float) -> float:
    """The UTC epoch at which the month of `when` is over."""
    now = datetime.fromtimestamp(when, UTC)
    following = (now.year + now.month // 12, now.month % 12 + 1)
    return datetime(*following, 1, tzinfo=UTC).timestamp()


class Spending:
    """What each key has spent in the month that it is, added up as rows come: asking costs no query.

    Clocks are put right, back and forth. What the file has of a month that is new here says `read`.
    """

    def __init__(self, wall: Callable[[], float], read: Callable[[str], dict[str, int]]) -> None:
        self._wall, self._read = wall, read
        self._since = self._end = 0.0
        self._spent: dict[str, int] = {}
        self._months: dict[str, dict[str, int]] = {}

    def begin(self, spent: dict[str, int]) -> None:
        """From what the file says of this month."""
        self._months[month_of(self._wall())] = dict(spent)

    def add(self, key: str, cost: int, when: float) -> None:
        """`cost` in billionths of the currency's unit, at a UTC epoch that is now."""
        self._turn(when)
        if cost:
            self._spent[key] = self._spent.get(key, 0) + cost

    def of(self, key: str) -> float:
        """In the currency's unit, this month."""
        self._turn(self._wall())
        return self._spent.get(key, 0) / UNIT

    def all(self) -> dict[str, float]:
        """The same of every key that has spent something."""
        self._turn(self._wall())
        return {key or "-": spent / UNIT for key, spent in self._spent.items()}

    def _turn(self, now: float) -> None:
        if self._since <= now < self._end:
            return
        month = month_of(now)
        if month not in self._months:
            self._months[month] = self._read(month)
            if len(self._months) > MOST_MONTHS:
                del self._months[next(iter(self._months))]
        self._since, self._end, self._spent = now, month_end(now), self._months[month]

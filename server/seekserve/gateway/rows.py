"""The ledger's rows: what one request comes to, and how many of them are written and removed at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from seekserve.gateway.ledgerfile import Connection
from seekserve.gateway.record import CLIENT_GONE, Trace
from seekserve.settings import Prices

AT_ONCE = 500
"""Rows to a statement."""
MOST_TEXT = 256
MOST_TOKENS = 10**9
"""More in one request is an engine's nonsense, and counts as none."""


class Row(NamedTuple):
    """One request, in the order of its columns. `id` is ours and unique; `client_id` is the client's.

    `time` is when it ended (UTC epoch); `cost` is in billionths of the currency's unit.
    """

    id: str
    client_id: str
    time: float
    key: str
    key_class: str
    model: str
    route: str
    status: int
    finish: str
    reason: str
    prompt: int
    cached: int
    reasoning: int
    completion: int
    wait_s: float | None
    first_s: float | None
    total_s: float
    cost: int
    currency: str


def row_of(trace: Trace, total_s: float, prices: Prices, ended: float) -> Row:
    """What a request came to that ended at `ended` (UTC epoch)."""
    tokens = trace.tokens
    prompt, cached = _count(tokens.get("prompt", 0)), _count(tokens.get("cached", 0))
    completion = _count(tokens.get("completion", 0))
    first_s = trace.first_at - trace.started if trace.first_at is not None else None
    return Row(
        trace.engine_id,
        trace.id,
        ended,
        _plain(trace.key),
        _plain(trace.key_class),
        _plain(trace.model),
        trace.route,
        trace.status or CLIENT_GONE,
        _plain(trace.finish),
        _plain(trace.reason),
        prompt,
        cached,
        _count(tokens.get("reasoning", 0)),
        completion,
        trace.queue_s,
        first_s,
        total_s,
        cost_of(prices, prompt, cached, completion),
        prices.currency,
    )


def cost_of(prices: Prices, prompt: int, cached: int, completion: int) -> int:
    """In billionths of the currency's unit; `prompt` includes `cached`, `completion` reasoning."""
    fresh = prompt - cached if prompt > cached else 0
    millionths = fresh * prices.prompt + cached * prices.cached + completion * prices.completion
    return round(millionths * 1000)


def _count(tokens: int) -> int:
    return tokens if 0 <= tokens <= MOST_TOKENS else 0


def _plain(text: str) -> str:
    """What an engine said may be anything that JSON can hold; half a surrogate pair is no text."""
    if len(text) <= MOST_TEXT and text.isascii():
        return text
    return text[:MOST_TEXT].encode(errors="replace").decode()


def write(db: Connection, rows: Sequence[Row]) -> None:
    """All of them in one transaction; those that are there already stay as they are.

    Many rows to a statement: a statement runs without the interpreter's lock, and taking that back
    from a busy event loop for each row would cost more than the rows.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            db.execute(_insert(len(some)), tuple(chain.from_iterable(some)))
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _insert(count: int) -> str:
    row = f"({', '.join('?' * len(Row._fields))})"
    rows = ", ".join([row] * count)
    return f"INSERT INTO requests VALUES {rows} ON CONFLICT (id) DO NOTHING"  # noqa: S608  marks


def forget(db: Connection, before: float) -> int:
    """Removes some rows older than a UTC epoch; how many. What was spent in their months is kept."""
    gone = db.execute(
        """DELETE FROM requests WHERE rowid IN
        (SELECT rowid FROM requests WHERE time < ? ORDER BY time LIMIT ?)""",
        (before, AT_ONCE),
    )
    return gone.rowcount

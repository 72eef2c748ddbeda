"""Who used what, kept: one row per request of the generation routes, written off the hot path.

The event loop appends to a queue; one thread owns the file and commits what has gathered, so that a
row is on the disk within a second of its answer's end. While the file cannot be written (full,
locked, read-only) rows wait, up to MOST_WAITING of them; those that come beyond are lost, which is
counted and logged. Nothing here ever holds a request up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from seekserve.errors import LedgerUnusable
from seekserve.gateway import ledgerfile
from seekserve.gateway.accounts import UNIT, Spending, month_of, spent_in
from seekserve.gateway.ledgerfile import CAUSES, Failure, cause
from seekserve.gateway.record import Trace
from seekserve.gateway.rows import Row, row_of
from seekserve.gateway.scribe import Scribe
from seekserve.log import Log
from seekserve.metrics import TOP_KEYS, Reading, top
from seekserve.settings import Prices, Tier

BILLED = frozenset({"chat", "completions", "responses", "messages", "embeddings"})
START_S = 5.0
"""How long a start waits for a file that another program has locked."""
LOG_S = 60.0


class Ledger:
    """`async with` it: on the way out all that was recorded is written. The event loop's alone.

    The file in `folder` is made or checked at once, and what this month has cost so far is read.
    Raises LedgerUnusable for what only a person can put right. A disk that is full or read-only is no
    reason not to serve: that is logged, and rows wait.
    """

    def __init__(
        self, folder: Path, tier: Tier, log: Log, wall: Callable[[], float] = time.time
    ) -> None:
        self._path, self._prices = folder / ledgerfile.FILE, tier.prices
        self._log, self._wall = log, wall
        self._spending = Spending(wall, self._spent_in)
        self._scribe = Scribe(self._path, tier.ledger_days, log, wall)
        self._lost = Counter(dict.fromkeys(CAUSES, 0))
        self._cost: Counter[str] = Counter(dict.fromkeys(tier.classes, 0))
        self._closed, self._told = False, -LOG_S
        self._open()

    def __repr__(self) -> str:
        return f"<Ledger {self._path}: {self._scribe.written} written, {self._scribe.waiting} wait>"

    def _open(self) -> None:
        try:
            ledgerfile.opened(self._path, START_S, look_through=True).close()
        except LedgerUnusable:
            raise
        except Failure as error:
            self._log.event("ledger_unwritable", cause=cause(error), why=str(error))
            self._begin(may_fail=cause(error) != "locked")
        else:
            self._begin()

    def _begin(self, may_fail: bool = False) -> None:
        self._spending.begin(self._spent_in(month_of(self._wall()), may_fail))

    def _spent_in(self, month: str, may_fail: bool = True) -> dict[str, int]:
        if not self._path.exists():
            return {}
        try:
            with ledgerfile.reading(self._path) as db:
                return spent_in(db, month, self._prices.currency)
        except Failure:
            if may_fail:
                return {}
            raise

    async def __aenter__(self) -> Self:
        self._scribe.start()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await asyncio.to_thread(self._scribe.finish)
        self._closed = True
        self._give_up()

    def adopt(self, prices: Prices) -> None:
        """For rows from now on; in the currency it has, which the month's sums are kept in."""
        self._prices = prices

    def settle(self, trace: Trace, total_s: float) -> None:
        """A request is over: its row, where its route is one of BILLED."""
        if trace.route in BILLED:
            self.record(row_of(trace, total_s, self._prices, self._wall()))

    def record(self, row: Row) -> None:
        """Costs microseconds and never fails. A row that comes when all is closed is written at once."""
        self._spending.add(row.key, row.cost, row.time)
        if row.cost:
            self._cost[row.key_class] += row.cost
        if not self._scribe.take(row):
            self._lose(1)
        if self._closed:
            self._scribe.write_now()
            self._give_up()

    def _give_up(self) -> None:
        """At the very end: what could not be written is lost."""
        if count := self._scribe.drop():
            self._lose(count)

    def _lose(self, count: int) -> None:
        self._lost[why := self._scribe.trouble or "slow"] += count
        if time.monotonic() - self._told > LOG_S:
            self._told = time.monotonic()
            with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more
                self._log.event("ledger_lost", cause=why, lost=self._lost.total())

    def spent(self, key: str) -> float:
        """What a key has cost this month (UTC), in the tier's currency. Asks no file."""
        return self._spending.of(key)

    def gauges(self) -> list[Reading]:
        lost = [((why,), float(count)) for why, count in self._lost.items()]
        scribe, currency = self._scribe, self._prices.currency
        spent = [((*of, currency), value) for of, value in top(self._spending.all())]
        costs = [((name, currency), cost / UNIT) for name, cost in self._cost.items()]
        lag_s = max(0.0, self._wall() - oldest) if (oldest := scribe.oldest) else 0.0
        return [
            ("ledger_rows_total", "Rows written to the ledger.", (), [((), scribe.written)]),
            ("ledger_lost_total", "Rows that could not be kept, by cause.", ("cause",), lost),
            ("ledger_lag_seconds", "Age of the oldest row not yet written.", (), [((), lag_s)]),
            (
                "cost_total",
                "What requests cost since the start, by class of key, in the tier's prices.",
                ("class", "currency"),
                costs,
            ),
            (
                "key_spent",
                f"What the {TOP_KEYS} keys that spent most have spent this month (UTC).",
                ("key", "currency"),
                spent,
            ),
        ]

"""The ledger: every request once, whatever becomes of the disk, and never in anybody's way."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from seekserve.errors import LedgerUnusable
from seekserve.gateway import ledgerfile, scribe
from seekserve.gateway.accounts import Spending, month_end, month_of, usage
from seekserve.gateway.ledger import Ledger
from seekserve.gateway.ledgerfile import FILE, Connection, cause, opened, reading
from seekserve.gateway.record import Trace
from seekserve.gateway.rows import Row, cost_of, row_of, write
from seekserve.log import Log
from seekserve.settings import Prices, Tier
from tests.support import FakeEngine, config, gateway, post, raw, until

PRICES = Prices(prompt=0.28, cached=0.028, completion=0.42)
JULY = 1_783_000_000.0  # 2026-07-02 UTC
numbers = itertools.count()


def row(**more: Any) -> Row:
    plain = Row(
        f"id-{next(numbers)}", "given", JULY, "ann", "public", "fake", "chat", 200, "stop", "",
        100, 60, 10, 40, 0.1, 0.2, 1.5, 1_000_000_000, "USD",
    )  # fmt: skip
    return plain._replace(**more)


class Lines(list[dict[str, Any]]):
    """A log's events, parsed."""

    def log(self) -> Log:
        return Log("json", lambda line: self.append(json.loads(line)))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self if line["event"] == name]


def ledger(
    folder: Path, lines: Lines | None = None, wall: Callable[[], float] | None = None
) -> Ledger:
    tier = Tier(tier="test", prices=PRICES, ledger_days=30)
    return Ledger(folder, tier, (Lines() if lines is None else lines).log(), wall or (lambda: JULY))


def figures(book: Ledger) -> dict[str, float]:
    return {
        ":".join((name, *labels)): value
        for name, _, _, rows in book.gauges()
        for labels, value in rows
    }


def lost(book: Ledger) -> dict[str, float]:
    found = figures(book).items()
    return {name.partition(":")[2]: n for name, n in found if "lost" in name and n}


def ids(folder: Path) -> list[str]:
    """None as long as there is no ledger."""
    with suppress(LedgerUnusable), reading(folder / FILE) as db:
        return [found for (found,) in db.execute("SELECT id FROM requests ORDER BY rowid")]
    return []


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set the disk is full: no file may grow."""
    now, real = threading.Event(), ledgerfile.opened

    def cramped(path: Path, busy_s: float, look_through: bool = False) -> Connection:
        db = real(path, busy_s, look_through)
        if now.is_set():
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(ledgerfile, "opened", cramped)
    return now


# What a row holds and costs.


def trace(**more: Any) -> Trace:
    made = Trace("given", 10.0, "unique", route="chat", key="ann", key_class="public", status=200)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_row_of_a_request() -> None:
    tokens = {"prompt": 1000, "cached": 400, "reasoning": 50, "completion": 200}
    made = row_of(trace(tokens=tokens, first_at=10.5, queue_s=0.1), 2.0, PRICES, JULY)
    assert (made.id, made.client_id, made.key, made.key_class) == (
        "unique",
        "given",
        "ann",
        "public",
    )
    assert (made.prompt, made.cached, made.reasoning, made.completion) == (1000, 400, 50, 200)
    assert (made.wait_s, made.first_s, made.total_s, made.time) == (0.1, 0.5, 2.0, JULY)
    assert made.cost == 600 * 280 + 400 * 28 + 200 * 420
    assert made.currency == "USD"


def test_a_client_that_left_before_any_answer() -> None:
    assert row_of(trace(status=0), 1.0, PRICES, JULY).status == 499


def test_one_token_is_not_rounded_away() -> None:
    assert cost_of(PRICES, 1, 1, 0) == 28
    assert sum(cost_of(PRICES, 1, 1, 0) for _ in range(10**4)) == cost_of(PRICES, 10**4, 10**4, 0)


@pytest.mark.parametrize("count", [-1, 10**30, 2**63])
def test_an_engines_nonsense_counts_as_nothing(count: int) -> None:
    kinds = ("prompt", "cached", "reasoning", "completion")
    made = row_of(trace(tokens=dict.fromkeys(kinds, count)), 1.0, PRICES, JULY)
    assert made.prompt == made.cost == 0


async def test_an_engines_odd_words_are_written(tmp_path: Path) -> None:
    async with ledger(tmp_path) as book:
        book.settle(trace(finish="\ud800" * 999, model="mö\0del"), 1.0)
    assert ids(tmp_path) == ["unique"]


# What is written.


async def test_all_that_was_recorded_is_there_once_at_the_end(tmp_path: Path) -> None:
    rows = [row() for _ in range(1234)]
    async with ledger(tmp_path) as book:
        for one in rows:
            book.record(one)
    assert ids(tmp_path) == [one.id for one in rows]
    assert figures(book)["ledger_rows_total"] == 1234
    assert lost(book) == {}


async def test_a_row_is_readable_within_a_second(tmp_path: Path) -> None:
    async with ledger(tmp_path) as book:
        book.record(one := row())
        await until(lambda: ids(tmp_path) == [one.id], within_s=1.0)


async def test_the_same_row_twice_is_one_and_is_spent_once(tmp_path: Path) -> None:
    same = row()
    for _ in range(2):
        async with ledger(tmp_path) as book:
            book.record(same)
    assert ids(tmp_path) == [same.id]
    assert ledger(tmp_path).spent("ann") == 1.0


async def test_a_row_after_the_end_is_written_at_once(tmp_path: Path) -> None:
    async with ledger(tmp_path) as book:
        pass
    book.record(one := row())
    assert ids(tmp_path) == [one.id]


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    async with ledger(tmp_path) as book:
        book.record(row())
        await until(lambda: ids(tmp_path))
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    assert set(modes) >= {FILE, f"{FILE}-wal"}
    assert set(modes.values()) == {0o600}


async def test_rows_too_old_are_removed_but_not_what_they_cost(tmp_path: Path) -> None:
    old = [row(time=JULY - 31 * 86_400) for _ in range(600)]
    with closing(opened(tmp_path / FILE, 1)) as db:
        write(db, [*old, young := row()])
    async with ledger(tmp_path):
        await until(lambda: ids(tmp_path) == [young.id])
    with reading(tmp_path / FILE) as db:
        assert db.execute("SELECT sum(cost) FROM spent").fetchone()[0] == 601 * 10**9


# What is in the way.


async def test_more_than_may_wait_are_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribe, "MOST_WAITING", 10)
    lines = Lines()
    async with ledger(tmp_path, lines) as book:
        for _ in range(25):
            book.record(row())
        assert lost(book) == {"slow": 15}
    assert len(ids(tmp_path)) == 10
    assert [line["lost"] for line in lines.named("ledger_lost")] == [1], "once a minute"


async def test_a_lock_loses_nothing(tmp_path: Path) -> None:
    lines, rows = Lines(), [row() for _ in range(50)]
    async with ledger(tmp_path, lines) as book:
        await until(lambda: (tmp_path / FILE).exists())
        with locked(tmp_path):
            for one in rows:
                book.record(one)
            await until(lambda: lines.named("ledger_stuck"))
            assert lines.named("ledger_stuck")[0]["cause"] == "locked"
        await until(lambda: len(ids(tmp_path)) == 50)
        await until(lambda: lines.named("ledger_writes_again"))
    assert ids(tmp_path) == [one.id for one in rows]
    assert lost(book) == {}


async def test_a_full_disk_is_told_and_over_by_itself(
    tmp_path: Path, full: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribe, "MOST_WAITING", 400)
    lines, now = Lines(), [JULY]
    full.set()
    async with ledger(tmp_path, lines, lambda: now[0]) as book:
        for _ in range(500):
            book.record(row())
        await until(lambda: lines.named("ledger_stuck"))
        now[0] += 7
        assert figures(book)["ledger_lag_seconds"] == 7
        book.record(row())
        assert lost(book) == {"slow": 100, "full": 1}
        full.clear()
        await until(lambda: lines.named("ledger_writes_again"))
        book.record(last := row())
    assert len(ids(tmp_path)) == 401
    assert ids(tmp_path)[-1] == last.id
    assert figures(book)["ledger_lag_seconds"] == 0
    assert len(lines.named("ledger_stuck")) == 1, "once a minute"


async def test_a_disk_full_to_the_end_loses_what_waits(
    tmp_path: Path, full: threading.Event
) -> None:
    full.set()
    async with ledger(tmp_path) as book:
        for _ in range(500):
            book.record(row())
    assert lost(book) == {"full": 500}


async def test_a_folder_that_is_missing_costs_rows_not_the_server(tmp_path: Path) -> None:
    lines = Lines()
    async with ledger(tmp_path / "none", lines) as book:
        book.record(row())
        assert lines.named("ledger_unwritable")
        (tmp_path / "none").mkdir()
    assert len(ids(tmp_path / "none")) == 1


async def test_a_ledger_moved_away_is_begun_anew(tmp_path: Path) -> None:
    async with ledger(tmp_path) as book:
        book.record(first := row())
        await until(lambda: ids(tmp_path) == [first.id])
        (tmp_path / FILE).rename(tmp_path / "old")
        book.record(second := row())
        await until(lambda: ids(tmp_path) == [second.id])
    (tmp_path / "old").rename(tmp_path / FILE)
    assert ids(tmp_path) == [first.id], "with all that was in its log"


async def test_a_ledger_damaged_meanwhile_waits_for_a_person(tmp_path: Path) -> None:
    lines = Lines()
    async with ledger(tmp_path, lines) as book:
        await until(lambda: (tmp_path / FILE).exists())
        (tmp_path / "odd").write_bytes(b"nonsense" * 1000)
        (tmp_path / "odd").rename(tmp_path / FILE)
        book.record(one := row())
        await until(lambda: lines.named("ledger_stuck"))
        assert lines.named("ledger_stuck")[0]["cause"] == "corrupt"
        assert (tmp_path / FILE).read_bytes() == b"nonsense" * 1000
        (tmp_path / FILE).unlink()
        await until(lambda: ids(tmp_path) == [one.id])


# What a start finds.


def damaged(path: Path) -> None:
    with closing(opened(path, 1)) as db:
        write(db, [row() for _ in range(2000)])
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 5)


def newer(path: Path) -> None:
    with closing(opened(path, 1)) as db:
        db.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE songs (name)")


def held(path: Path) -> None:
    """By a program that lets nobody else even read."""
    holders.append(db := sqlite3.connect(path, isolation_level=None))
    db.execute("CREATE TABLE songs (name)")
    db.execute("BEGIN EXCLUSIVE")


holders: list[sqlite3.Connection] = []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"garbage" * 999), "is damaged"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"\7" * 5000), "is damaged"),
        (damaged, "is damaged"),
        (newer, "newer seekserve"),
        (foreign, "no ledger of seekserve's"),
        (lambda path: path.mkdir(), "cannot be read and written"),
        (lambda path: path.with_name(f"{FILE}-wal").write_bytes(b"x"), "may hold its last rows"),
        (held, "cannot be read: database is locked"),
    ],
)
def test_what_only_a_person_can_put_right_stops_the_start(
    tmp_path: Path, spoil: Callable[[Path], Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seekserve.gateway.ledger.START_S", 0.1)
    monkeypatch.setattr(ledgerfile, "READ_S", 0.1)
    spoil(tmp_path / FILE)
    before = {p.name: p.read_bytes() for p in tmp_path.glob(FILE) if p.is_file()}
    with pytest.raises(LedgerUnusable, match=says) as caught:
        ledger(tmp_path)
    assert str(tmp_path / FILE) in caught.value.message
    assert caught.value.todo
    assert {p.name: p.read_bytes() for p in tmp_path.glob(FILE) if p.is_file()} == before
    while holders:
        holders.pop().close()


def test_a_writer_beside_is_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seekserve.gateway.ledger.START_S", 0.1)
    with closing(opened(tmp_path / FILE, 1)) as db:
        write(db, [row()])
    with locked(tmp_path):
        assert ledger(tmp_path).spent("ann") == 1.0


def test_an_older_ledger_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(tmp_path / FILE, 1)) as db:
        write(db, [one := row()])
    step = ("CREATE TABLE more (a)", "INSERT INTO more VALUES (7)")
    monkeypatch.setattr(ledgerfile, "STEPS", (*ledgerfile.STEPS, (*step, "no such statement")))
    with pytest.raises(sqlite3.OperationalError):
        opened(tmp_path / FILE, 1)
    monkeypatch.setattr(ledgerfile, "STEPS", (*ledgerfile.STEPS[:1], step))
    for _ in range(2):
        with closing(opened(tmp_path / FILE, 1)) as db:
            assert db.execute("SELECT a FROM more").fetchall() == [(7,)]
            assert db.execute("PRAGMA user_version").fetchone() == (2,)
    assert ids(tmp_path) == [one.id]


def test_a_start_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(tmp_path / FILE, 1)) as db:
        write(db, [row()])

    def no_room(*_: object, **__: object) -> Connection:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ledgerfile, "opened", no_room)
    lines = Lines()
    assert ledger(tmp_path, lines).spent("ann") == 1.0
    assert lines.named("ledger_unwritable")[0]["cause"] == "full"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, ""), "full"),
        (OSError(errno.EROFS, ""), "readonly"),
        (OSError(errno.EIO, ""), "io"),
        (OSError(), "io"),
        (sqlite3.OperationalError("x"), "io"),
        (LedgerUnusable("x"), "corrupt"),
    ],
)
def test_every_failure_has_a_cause(error: Exception, told: str) -> None:
    assert cause(error) == told


# What it tells.


async def test_spending_survives_a_restart_and_ends_with_the_month(tmp_path: Path) -> None:
    now = [month_end(JULY) - 1]
    async with ledger(tmp_path, wall=lambda: now[0]) as book:
        book.record(row(time=now[0]))
        book.record(row(time=now[0], key="bob", cost=5))
        assert (book.spent("ann"), book.spent("bob"), book.spent("eve")) == (1.0, 5e-9, 0.0)
    book = ledger(tmp_path, wall=lambda: now[0])
    assert (book.spent("ann"), book.spent("bob")) == (1.0, 5e-9)
    now[0] += 2
    assert book.spent("ann") == 0.0
    assert ledger(tmp_path, wall=lambda: now[0]).spent("ann") == 0.0


def test_months_are_utc() -> None:
    assert (month_of(0.0), month_end(0.0)) == ("1970-01", 31 * 86_400)
    assert month_of(month_end(JULY) - 1) == "2026-07"
    assert month_of(month_end(JULY)) == "2026-08"
    december = month_end(JULY + 4 * 31 * 86_400)
    assert (month_of(december), month_of(month_end(december))) == ("2026-12", "2027-01")


def test_a_month_may_turn_while_nobody_asks() -> None:
    now = [JULY]
    spending = Spending(lambda: now[0], lambda month: {})
    spending.begin({"ann": 10**9})
    spending.add("ann", 10**9, month_end(JULY) + 1)
    now[0] = month_end(JULY) + 2
    assert spending.of("ann") == 1.0


async def test_a_clock_that_is_put_right_loses_no_month(tmp_path: Path) -> None:
    now = [JULY]
    async with ledger(tmp_path, wall=lambda: now[0]) as book:
        book.record(row(time=JULY))
        for strange in (JULY + 400 * 86_400, 86_400.0):
            now[0] = strange
            assert book.spent("ann") == 0.0
            now[0] = JULY
            assert book.spent("ann") == 1.0
    now[0] = 86_400.0  # a machine without a clock of its own, before it has asked for the time
    book = ledger(tmp_path, wall=lambda: now[0])
    assert book.spent("ann") == 0.0
    now[0] = JULY
    assert book.spent("ann") == 1.0


def test_a_month_is_read_once_and_a_few_are_kept() -> None:
    now, read = [JULY], list[str]()

    def file(month: str) -> dict[str, int]:
        read.append(month)
        return {"ann": 10**9}

    spending = Spending(lambda: now[0], file)
    for _ in range(3):
        for back in (0, 1, 2):
            now[0] = JULY - back * 31 * 86_400
            assert spending.of("ann") == 1.0
    assert read == ["2026-07", "2026-06", "2026-05"]
    for back in range(40):
        now[0] = JULY - back * 31 * 86_400
        spending.of("ann")
    assert len(spending._months) <= 4


def test_usage_adds_up_by_each_name(tmp_path: Path) -> None:
    rows = [
        row(),
        row(key="", key_class="batch", time=JULY - 86_400, cost=0),
        row(status=429, reason="rate_limit_exceeded", prompt=0),
        row(reason="engine_error"),
        row(status=499, finish="client_gone", currency="CNY"),
        row(time=JULY - 9 * 86_400),
    ]
    with closing(opened(tmp_path / FILE, 1)) as db:
        write(db, rows)
    with reading(tmp_path / FILE) as db:
        found = {(u.name, u.currency): u for u in usage(db, "key", JULY - 7 * 86_400)}
        days = [u.name for u in usage(db, "day", 0.0)]
        classes = {u.name for u in usage(db, "class", 0.0)}
    assert set(found) == {("ann", "USD"), ("ann", "CNY"), ("-", "USD")}
    ann = found["ann", "USD"]
    assert (ann.requests, ann.answered, ann.refused, ann.broken) == (3, 1, 1, 1)
    assert (ann.prompt, ann.cached, ann.reasoning, ann.completion, ann.cost) == (
        200,
        180,
        30,
        120,
        3,
    )
    assert found["ann", "CNY"].broken == 1
    assert days == ["2026-06-23", "2026-07-01", "2026-07-02", "2026-07-02"]
    assert classes == {"public", "batch"}


# In the gateway.


@asynccontextmanager
async def serving(engine: FakeEngine, folder: Path, **more: Any) -> AsyncIterator[Any]:
    async with gateway(config(engine.url, state_dir=folder, **more)) as gate:
        yield gate


def told(folder: Path) -> list[tuple[Any, ...]]:
    with reading(folder / FILE) as db:
        return db.execute(
            "SELECT client_id, route, status, finish, reason, prompt, completion FROM requests"
        ).fetchall()


async def test_one_row_for_each_request_of_the_generation_routes(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with serving(engine, tmp_path) as gate:
        streamed = await gate.stream()
        whole = await gate.ask()
        failed = await gate.ask("fault:status code=500")
        refused = await gate.client.post("/v1/chat/completions", content=b"{")
        await gate.client.get("/v1/models")
        await gate.client.get("/health/live")
        await until(lambda: len(told(tmp_path)) == 4, within_s=1.0)
        shown = await gate.figures()
    assert told(tmp_path) == [
        (streamed.headers["x-request-id"], "chat", 200, "stop", "", 12, 6),
        (whole.headers["x-request-id"], "chat", 200, "stop", "", 12, 6),
        (failed.headers["x-request-id"], "chat", 502, "", "engine_error", 0, 0),
        (refused.headers["x-request-id"], "chat", 400, "", "invalid_json", 0, 0),
    ]
    assert shown["seekserve_ledger_rows_total"] == 4
    assert shown["seekserve_ledger_lag_seconds"] < 1
    assert shown["seekserve_ledger_lost_total{cause=full}"] == 0


async def test_a_clients_id_need_not_be_unique(engine: FakeEngine, tmp_path: Path) -> None:
    async with serving(engine, tmp_path) as gate:
        for _ in range(3):
            await gate.client.post(
                "/v1/chat/completions", json=gate.chat(), headers={"x-request-id": "mine"}
            )
    assert [found[0] for found in told(tmp_path)] == ["mine"] * 3


async def test_a_client_that_leaves_has_a_row(engine: FakeEngine, tmp_path: Path) -> None:
    async with serving(engine, tmp_path) as gate:
        body = json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode()
        _, writer = await raw(gate.port, post(body))
        await until(lambda: engine.running == 1)
        writer.transport.abort()
        await until(lambda: told(tmp_path), within_s=2.0)
    assert told(tmp_path)[0][2:4] == (499, "client_gone")


async def test_a_stream_that_the_servers_end_cuts_off_has_a_row(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with serving(engine, tmp_path, listen={"drain_s": 1}) as gate:
        body = json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode()
        reader, writer = await raw(gate.port, post(body))
        await reader.readuntil(b"data: ")
    writer.close()
    assert [found[4] for found in told(tmp_path)] == ["server_stopping"]


async def test_a_locked_ledger_holds_no_request_up(engine: FakeEngine, tmp_path: Path) -> None:
    async with serving(engine, tmp_path) as gate:
        with locked(tmp_path):
            answers = [await gate.ask() for _ in range(20)]
            async with asyncio.timeout(1):
                await gate.stream()
        assert all(answer.status_code == 200 for answer in answers)
        await until(lambda: len(told(tmp_path)) == 21)


async def test_a_damaged_ledger_stops_the_start(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"garbage" * 999)
    with pytest.raises(LedgerUnusable):
        async with serving(engine, tmp_path):
            pass

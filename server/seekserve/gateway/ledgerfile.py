"""The ledger's file: its tables, how it is opened, and what goes wrong with it.

One row per request, its own id unique, so that writing a row twice is writing it once. Costs are
whole billionths of the currency's unit: at 0.028 per million a single token is 28 of them, where
millionths would round small requests away; and whole numbers add up alike in any order, in any group.
What each key has spent in each month is kept by a trigger in the same transaction as the rows it
counts, so a start reads a few rows instead of a month of them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seekserve.errors import LedgerUnusable

FILE = "ledger.sqlite3"
Connection = sqlite3.Connection
READ_S = 5.0
QUICK_BYTES = 64 << 20
"""A larger file is not looked through at the start, which would take seconds."""

_TABLES = (
    """CREATE TABLE requests (
        id TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, time REAL NOT NULL,
        key TEXT NOT NULL, class TEXT NOT NULL, model TEXT NOT NULL, route TEXT NOT NULL,
        status INTEGER NOT NULL, finish TEXT NOT NULL, reason TEXT NOT NULL,
        prompt INTEGER NOT NULL, cached INTEGER NOT NULL,
        reasoning INTEGER NOT NULL, completion INTEGER NOT NULL,
        wait_s REAL, first_s REAL, total_s REAL NOT NULL,
        cost INTEGER NOT NULL, currency TEXT NOT NULL)""",
    "CREATE INDEX requests_by_time ON requests (time)",
    """CREATE TABLE spent (
        month TEXT NOT NULL, key TEXT NOT NULL, currency TEXT NOT NULL, cost INTEGER NOT NULL,
        PRIMARY KEY (month, key, currency)) WITHOUT ROWID""",
    """CREATE TRIGGER requests_are_spent AFTER INSERT ON requests WHEN new.cost > 0 BEGIN
        INSERT INTO spent
        VALUES (strftime('%Y-%m', new.time, 'unixepoch'), new.key, new.currency, new.cost)
        ON CONFLICT (month, key, currency) DO UPDATE SET cost = cost + excluded.cost;
    END""",
)
STEPS: tuple[tuple[str, ...], ...] = (_TABLES,)
"""What brings a file of version N to N + 1. A file's version is the number of steps it has been through."""

_CAUSES = {
    "FULL": "full",
    "BUSY": "locked",
    "LOCKED": "locked",
    "READONLY": "readonly",
    "PERM": "readonly",
    "CORRUPT": "corrupt",
    "NOTADB": "corrupt",
}
_OS_CAUSES = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "readonly",
    errno.EACCES: "readonly",
    errno.EPERM: "readonly",
}
CAUSES = ("full", "locked", "readonly", "corrupt", "io", "slow")
"""Why rows cannot be written; `slow` is a disk that works and does not keep up."""
Failure = (sqlite3.Error, OSError, LedgerUnusable)


def cause(error: BaseException) -> str:
    """One of CAUSES."""
    if isinstance(error, LedgerUnusable):
        return "corrupt"
    if isinstance(error, OSError):
        return _OS_CAUSES.get(error.errno or 0, "io")
    name = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")
    return _CAUSES.get(name.partition("_")[0], "io")


def opened(path: Path, busy_s: float, look_through: bool = False) -> Connection:
    """A connection that writes: the file is made (mode 0600) or brought up to date first.

    Raises LedgerUnusable for what only a person can put right; sqlite3.Error and OSError for the rest.
    """
    _permitted(path)
    if not os.path.exists(path):
        _begun(path)
    db = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
    try:
        with _own_words(path):
            _up_to_date(db, path)
            if look_through and path.stat().st_size <= QUICK_BYTES:
                _sound(db)
    except BaseException:
        db.close()
        raise
    return db


def _begun(path: Path) -> None:
    """An empty file. The log of another that lies beside it would be thrown away, with rows in it."""
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise LedgerUnusable(
            f"{log} is left of a ledger that is gone, and may hold its last rows.",
            "Put it beside that ledger, named as it is with -wal at the end; or move it away.",
        )
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _permitted(path: Path) -> None:
    """A folder or file that is not ours to write is told at once; a disk that is read-only may recover."""
    for place in (path.parent, path):
        if not os.path.exists(place) or os.statvfs(place).f_flag & os.ST_RDONLY:
            continue
        if not os.access(place, os.R_OK | os.W_OK) or (place == path and not path.is_file()):
            raise LedgerUnusable(
                f"The ledger {path} cannot be read and written.",
                "Make it and its folder belong to the user that runs seekserve, or set "
                "SEEKSERVE_STATE_DIR to another folder.",
            )


@contextmanager
def _own_words(path: Path) -> Iterator[None]:
    """A file that is no sound database, told as what to do. It is never touched."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if cause(error) != "corrupt":
            raise
        raise LedgerUnusable(
            f"The ledger {path} is damaged: {error}.",
            f"Move it away with all that begins with its name ({path}*) to start a new one; "
            "sqlite3's .recover may get its rows back.",
        ) from error


def _sound(db: Connection) -> None:
    (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        error = sqlite3.DatabaseError(said.splitlines()[-1])
        error.sqlite_errorname = "SQLITE_CORRUPT"
        raise error


def _version(db: Connection, path: Path) -> int:
    """Raises LedgerUnusable when it is none that this program knows."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if version > len(STEPS):
        raise LedgerUnusable(
            f"The ledger {path} was written by a newer seekserve (version {version} of its tables; "
            f"this one knows {len(STEPS)}).",
            "Use that seekserve, or move the file away to start a new one.",
        )
    if bool(tables) != bool(version) or (version and not {"requests", "spent"} <= tables):
        raise LedgerUnusable(
            f"{path} is a database, and no ledger of seekserve's.", "Move it away."
        )
    return version


def _up_to_date(db: Connection, path: Path) -> None:
    """FULL: each commit is on the disk, not only out of our hands; at most a few a second are made."""
    version = _version(db, path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if version == len(STEPS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[_version(db, path) :]:  # another process may have been quicker
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(STEPS)}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A connection that only reads, beside a server that writes. Raises LedgerUnusable."""
    try:
        with _own_words(path):
            db = _read_only(path)
            try:
                yield db
            finally:
                db.close()
    except sqlite3.Error as error:
        raise LedgerUnusable(
            f"The ledger {path} cannot be read: {error}.",
            "Another program holds it: try again once that has ended."
            if cause(error) == "locked"
            else "See who may read it, and whether its disk is full or read-only.",
        ) from error


def _read_only(path: Path) -> Connection:
    """On a disk where nothing can be written a file is read as it lies, without what is in its log."""
    if not os.path.exists(path):
        raise _none_yet(path)
    where = path.absolute().as_uri()
    for how in ("mode=ro", "mode=ro&immutable=1"):
        db = None
        try:
            db = sqlite3.connect(f"{where}?{how}", uri=True, timeout=READ_S, isolation_level=None)
            if not (version := _version(db, path)):
                raise _none_yet(path)
            if version < len(STEPS):
                raise LedgerUnusable(f"The ledger {path} is an older one.", "Start seekserve once.")
            return db
        except Failure as error:
            if db:
                db.close()
            if "immutable" in how or cause(error) not in ("full", "readonly", "io"):
                raise
    raise AssertionError


def _none_yet(path: Path) -> LedgerUnusable:
    return LedgerUnusable(
        f"There is no ledger yet: {path}.",
        "seekserve serve begins one. SEEKSERVE_STATE_DIR names the folder.",
    )

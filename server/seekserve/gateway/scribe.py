"""The thread that writes the ledger: it alone owns the file, and commits what has gathered.

A failure is never final: rows wait, the file is opened anew, and it is tried again twice a second. The
file is also opened anew when another lies at its path, as after it was moved away.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from seekserve.gateway import ledgerfile, rows
from seekserve.gateway.ledgerfile import Connection, Failure, cause
from seekserve.gateway.rows import Row
from seekserve.log import Fact, Log

MOST_WAITING = 20_000
GATHER_S = 0.2
RETRY_S = 0.5
BUSY_S = 0.5
CLOSE_S = 5.0
LOG_S = 60.0
PRUNE_S = 600.0
DAY_S = 86_400.0


class Scribe:
    """`take` and what reads are the event loop's; everything below `_run` is the thread's.

    `trouble` is why the last attempt to write failed, one of ledgerfile.CAUSES, or empty.
    """

    def __init__(self, path: Path, days: int, log: Log, wall: Callable[[], float]) -> None:
        self._path, self._days, self._log, self._wall = path, days, log, wall
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._came, self._over = threading.Event(), threading.Event()
        self._queue: deque[Row] = deque()
        self._held: list[Row] = []
        self._db: Connection | None = None
        self._inode = 0
        self._prune_at = 0.0
        self._told = -LOG_S
        self.written = 0
        self.trouble = ""

    def start(self) -> None:
        self._thread.start()

    def take(self, row: Row) -> bool:
        """False when as many rows wait as may."""
        if len(self._queue) + len(self._held) >= MOST_WAITING:
            return False
        self._queue.append(row)
        if not self._came.is_set():
            self._came.set()
        return True

    @property
    def oldest(self) -> float | None:
        """When the row that has waited longest came (UTC epoch); the thread may just have taken it."""
        for line in (self._held, self._queue):
            with contextlib.suppress(IndexError):
                return line[0].time
        return None

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._held)

    def finish(self) -> None:
        """Writes what waits and ends the thread, within CLOSE_S."""
        self._over.set()
        self._came.set()
        self._thread.join(CLOSE_S)

    def write_now(self) -> None:
        """By the caller, once the thread has ended."""
        if not self._thread.is_alive():
            self._write()
            self._close()

    def drop(self) -> int:
        """Forgets what waits; how many rows that were."""
        count = self.waiting
        self._queue.clear()
        self._held = []
        return count

    def _run(self) -> None:
        while not self._over.is_set():
            self._came.wait(self._patience_s())
            if self._came.is_set():
                self._over.wait(GATHER_S)
            self._came.clear()
            self._write()
            self._prune()
        deadline = time.monotonic() + CLOSE_S / 2
        while self.waiting and not self._write() and time.monotonic() < deadline:
            time.sleep(RETRY_S / 5)
        self._close()

    def _patience_s(self) -> float:
        if self._held:
            return RETRY_S
        return max(0.0, self._prune_at - time.monotonic())

    def _write(self) -> bool:
        """Commits what waits. What fails is held, to be tried again."""
        while self._queue:
            self._held.append(self._queue.popleft())
        if not self._held:
            return True
        try:
            rows.write(self._ready(), self._held)
        except Failure as error:
            self._failed(error)
            return False
        self.written += len(self._held)
        self._held = []
        self._recovered()
        return True

    def _ready(self) -> Connection:
        """The file at the path, opened."""
        if self._db and not self._is_there():
            self._db.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )  # or its last rows would stay behind
            self._close()
        if not self._db:
            # asked before: one that is put in its place meanwhile is opened the next time
            self._inode = self._found()
            self._db = ledgerfile.opened(self._path, BUSY_S)
        return self._db

    def _is_there(self) -> bool:
        return self._inode > 0 and self._found() == self._inode

    def _found(self) -> int:
        """Which file is at the path; 0 where none is."""
        try:
            return os.stat(self._path).st_ino
        except FileNotFoundError:
            return 0

    def _prune(self) -> None:
        """Removes a few of the rows that are too old, and more the next time, until there are none."""
        if self._held or time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + PRUNE_S
        try:
            if rows.forget(self._ready(), self._wall() - self._days * DAY_S):
                self._prune_at = time.monotonic() + RETRY_S
        except Failure as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.trouble = cause(error)
        if self.trouble != "locked":
            self._close()
        if time.monotonic() - self._told > LOG_S:
            self._told = time.monotonic()
            self._tell("ledger_stuck", cause=self.trouble, why=str(error), waiting=self.waiting)

    def _recovered(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._tell("ledger_writes_again", written=self.written)

    def _tell(self, name: str, **facts: Fact) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more
            self._log.event(name, **facts)

    def _close(self) -> None:
        if self._db:
            with contextlib.suppress(*Failure):
                self._db.close()
        self._db = None

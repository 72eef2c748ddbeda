"""What is looked at once the load has stopped: what is left in the server, its ledger, its log."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from seekserve.gateway import ledgerfile
from tests.chaos.records import Left, Span
from tests.chaos.served import Said, Served

LEFT_S = 5.0
WRITTEN_S = 10.0
LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Rest:
    """A server that nobody asks anything: what is there all the same."""

    figures: Mapping[str, float]
    clients: int
    engines: int

    def sum(self, *names: str) -> float:
        return sum(v for k, v in self.figures.items() if k.partition("{")[0] in names)


async def at_rest(served: Served) -> Rest:
    figures = await served.figures()
    return Rest(figures, client_sockets(served), dangling(served))


async def left(served: Served, before: Rest) -> Left:
    """`LEFT_S` after the load."""
    await asyncio.sleep(LEFT_S)
    now = await at_rest(served)
    return Left(
        places=now.sum("seekserve_places_taken"),
        queued=now.sum("seekserve_queue_depth"),
        in_flight=now.sum("seekserve_requests_in_flight"),
        tasks=now.sum("seekserve_tasks") - before.sum("seekserve_tasks"),
        client_sockets=now.clients,
        engine_sockets=now.engines - before.engines,
        engine_requests=now.sum("vllm:num_requests_running", "vllm:num_requests_waiting"),
    )


def sockets(pid: int) -> set[int]:
    """The inodes of a process's sockets."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            name = os.readlink(entry)
            if name.startswith("socket:["):
                found.add(int(name[8:-1]))
    return found


def client_sockets(served: Served) -> int:
    """Connections at the API's port that the server still holds."""
    ours, count = sockets(served.pid), 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        here = int(fields[1].rpartition(":")[2], 16)
        if here == served.port and fields[3] != LISTENING and int(fields[9]) in ours:
            count += 1
    return count


def dangling(served: Served) -> int:
    """Connections to engines whose other end is gone: those the server holds, less those engines took."""
    ours, named, nameless = sockets(served.pid), 0, 0
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[5] != "03":  # SS_CONNECTED
            continue
        if len(fields) == 7:
            nameless += int(fields[6]) in ours
        elif fields[7].startswith(str(served.output.parent)) and "engine-" in fields[7]:
            named += int(fields[6]) not in ours
    return nameless - named


async def rows(served: Served) -> list[tuple[str, str, int, str]]:
    """Of the ledger, once nothing waits to be written."""
    deadline = time.monotonic() + WRITTEN_S
    while time.monotonic() < deadline:
        if not (await at_rest(served)).sum("seekserve_ledger_lag_seconds"):
            break
        await asyncio.sleep(0.2)
    with closing(sqlite3.connect(f"file:{served.state / ledgerfile.FILE}?mode=ro", uri=True)) as db:
        found: list[tuple[str, str, int, str]] = db.execute(
            "SELECT client_id, route, status, reason FROM requests"
        ).fetchall()
    return found


def downs(said: list[Said], since: float, names: tuple[str, ...]) -> dict[str, list[Span]]:
    """When each engine was not ready, by the server's log. What lasts to the end has no end."""
    spans: dict[str, list[Span]] = {name: [] for name in names}
    open_at: dict[str, float] = {}
    for one in said:
        name = str(one.facts.get("name"))
        if one.event != "engine" or name not in spans or one.at < since:
            continue
        if one.facts["state"] != "ready":
            open_at.setdefault(name, one.at)
        elif name in open_at:
            spans[name].append((open_at.pop(name), one.at))
    for name, at in open_at.items():
        spans[name].append((at, float("inf")))
    return spans

"""Checks of the machine: descriptors, disk and clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from seekserve.doctor.facts import Host
from seekserve.doctor.findings import Finding, bad, ok, warn
from seekserve.settings import Limits

EACH = 2
"""Descriptors of a request: its client's socket and the engine's."""
ASIDE = 128
SLACK_S = 300
LITTLE, LEAST = 2 << 30, 256 << 20


def check(host: Host, limits: Limits) -> Iterator[Finding]:
    yield _descriptors(host.descriptors, limits)
    yield _disk(host.free_bytes)
    yield from _clock(host)


def _descriptors(limit: int, limits: Limits) -> Finding:
    need = EACH * limits.running + limits.queued + ASIDE
    said = f"{limit:,} files may be open; {limits.running:,} running and {limits.queued:,} waiting"
    if limit >= need:
        return ok("machine", f"{said} requests need about {need:,}.")
    return bad(
        "machine",
        f"{said} requests need about {need:,}: connections are dropped before the queue is full.",
        f"ulimit -n {max(65536, need)}, or LimitNOFILE={max(65536, need)} in the systemd unit.",
    )


def _disk(free: int) -> Finding:
    said = f"{free / (1 << 30):.1f} GiB are free for the ledger and logs."
    mend = "Make room, or move the state folder: SEEKSERVE_STATE_DIR."
    if free < LEAST:
        return bad("machine", f"Only {free >> 20} MiB are free for the ledger and logs.", mend)
    return warn("machine", said, mend) if free < LITTLE else ok("machine", said)


def _clock(host: Host) -> Iterator[Finding]:
    ahead = host.newest - host.now
    if ahead > SLACK_S:
        yield bad(
            "machine",
            f"The clock is behind what was written here by {ahead / 3600:.1f} hours: ends of keys, "
            "budgets and the ledger go by it.",
            "Set it, and keep it set: chrony or systemd-timesyncd.",
        )
    elif host.synchronised is False:
        yield warn(
            "machine",
            "The kernel says that nothing keeps the clock: ends of keys and budgets go by it.",
            "Run chrony or systemd-timesyncd (on the host, for a container).",
        )
    else:
        yield ok("machine", "The clock is not behind what was written here.")

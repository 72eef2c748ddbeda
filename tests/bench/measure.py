"""What a process tree spent and holds, read from /proc; and the sums over rounds.

Pure but for the two readers at the end: text and numbers in, numbers out.
"""

import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """One process of /proc/PID/stat: who began it and the CPU ticks it and its dead used."""

    pid: int
    parent: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident MiB: RSS counts a shared page in every process, PSS divides it among them."""

    rss: float = 0.0
    pss: float = 0.0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.rss + other.rss, self.pss + other.pss)


def parse_stat(text: str) -> Stat:
    """One line of /proc/PID/stat. The name may hold spaces and brackets: split after it."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    # utime, stime and, for children already reaped, cutime and cstime.
    return Stat(int(head.split(" ", 1)[0]), int(fields[1]), sum(map(int, fields[11:15])))


def parse_rollup(text: str) -> Memory:
    """The sums of /proc/PID/smaps_rollup."""
    kib = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in text.splitlines())
        if name in ("Rss", "Pss")
    }
    return Memory(kib.get("Rss", 0) / 1024, kib.get("Pss", 0) / 1024)


def tree(root: int, stats: Iterable[Stat]) -> list[Stat]:
    """The root and all its descendants."""
    children: dict[int, list[Stat]] = {}
    known = {}
    for stat in stats:
        known[stat.pid] = stat
        children.setdefault(stat.parent, []).append(stat)
    found = [known[root]] if root in known else []
    for stat in found:  # grows as it goes: breadth first
        found.extend(children.get(stat.pid, ()))
    return found


def median(values: Sequence[float]) -> float | None:
    """The middle of what was measured, or nothing where nothing was."""
    return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value with at least this share of all values at or below it."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]


def differences(ours: Sequence[float], base: Sequence[float]) -> list[float]:
    """What each round adds to the same round's base: drift between rounds cancels."""
    return [mine - other for mine, other in zip(ours, base, strict=False)]


def ratio(ours: Sequence[float], base: Sequence[float]) -> float | None:
    """The median over rounds of ours / base, taken within each round."""
    return median([mine / other for mine, other in zip(ours, base, strict=False) if other])


def _stats() -> list[Stat]:
    stats = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stats.append(parse_stat((entry / "stat").read_text()))
            except OSError:
                continue  # it ended while we looked
    return stats


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, since they began."""
    spent = sum(stat.ticks for stat in tree(pid, _stats()))
    return spent / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> Memory:
    """Resident memory of a process and all its descendants."""
    total = Memory()
    for stat in tree(pid, _stats()):
        try:
            total += parse_rollup((PROC / str(stat.pid) / "smaps_rollup").read_text())
        except OSError:
            continue  # it ended while we looked
    return total

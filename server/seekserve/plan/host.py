"""The host's own part of the machine: cores, memory and what sits on the PCI bus.

Reads files under `root` and nothing else. A limit that is not there is no limit.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seekserve.plan import readings

GIB = 2.0**30
# PCI vendor -> platform, maker and the classes that are accelerators: Huawei's display is its BMC,
# Intel's plain VGA is a processor's own graphics.
PCI = {
    "0x10de": ("cuda", "NVIDIA", ("0x03", "0x12")),
    "0x1002": ("rocm", "AMD", ("0x03", "0x12")),
    "0x19e5": ("ascend", "Huawei", ("0x12",)),
    "0x1da3": ("gaudi", "Habana", ("0x12",)),
    "0x8086": ("xpu", "Intel", ("0x0380",)),
}


@dataclass(frozen=True)
class Host:
    """What this process may use: physical cores, and GiB of memory under the cgroup's limit."""

    cores: int
    memory_gib: float
    available_gib: float
    cpu: str
    arch: str
    isa: str
    sockets: int


def read_host(root: Path, affinity: frozenset[int] | None) -> tuple[Host, tuple[str, ...]]:
    """The host under `root`, and a sentence for each limit that makes it smaller than it looks.

    `affinity` holds the logical CPUs this process may run on; None asks the kernel.
    """
    cpu = readings.cpuinfo(text(root / "proc/cpuinfo"))
    total, available = readings.meminfo(text(root / "proc/meminfo"))
    cores, notes = _cores(cpu, affinity or frozenset(os.sched_getaffinity(0)), _quota(root))
    for limit, used in _memory_limits(root):
        if limit < total:
            notes = (
                *notes,
                f"The cgroup allows {limit:.1f} of the host's {total:.1f} GiB of memory.",
            )
            total = limit
        available = min(available, max(0.0, limit - used))
    arch = cpu.arch or platform.machine()
    sockets = cpu.sockets or _packages(root)
    return Host(cores, total, available, cpu.model, arch, cpu.isa, sockets), notes


def _cores(
    cpu: readings.Cpu, affinity: frozenset[int], quota: float | None
) -> tuple[int, tuple[str, ...]]:
    """Physical cores within the affinity; a quota is CPU time, so it bounds whole cores too."""
    mine = {cpu.cores[number] for number in affinity if number in cpu.cores}
    cores = len(mine) or len(affinity)
    if quota is None or quota >= cores:
        return cores, ()
    return max(1, int(quota)), (f"The cgroup allows {quota:g} of {cores} cores.",)


def _quota(root: Path) -> float | None:
    """CPUs' worth of time that the tightest cgroup allows; None without a limit."""
    found: list[float] = []
    for folder in _cgroups(root, "cpu"):
        words = text(folder / "cpu.max").split() or [
            text(folder / "cpu.cfs_quota_us").strip(),
            text(folder / "cpu.cfs_period_us").strip(),
        ]
        numbers = [readings.whole(word) for word in words[:2]]
        if len(numbers) == 2 and numbers[0] and numbers[1]:
            found.append(numbers[0] / numbers[1])
    return min(found, default=None)


def _memory_limits(root: Path) -> Iterator[tuple[float, float]]:
    """Each cgroup's (limit, used) in GiB. File pages that can be dropped are not used."""
    for folder in _cgroups(root, "memory"):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        if limit is None:
            continue
        used = _number(folder, "memory.current", "memory.usage_in_bytes") or 0
        stat = dict(
            line.split()[:2] for line in text(folder / "memory.stat").splitlines() if " " in line
        )
        idle = stat.get("total_inactive_file") or stat.get("inactive_file")
        yield limit / GIB, max(0, used - (readings.whole(idle) or 0)) / GIB


def _number(folder: Path, *names: str) -> int | None:
    numbers = (readings.whole(text(folder / name)) for name in names)
    return next((number for number in numbers if number is not None), None)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """This process's cgroup and those above it, of version 2 and of version 1."""
    mount = root / "sys/fs/cgroup"
    for line in text(root / "proc/self/cgroup").splitlines() or ["0::/"]:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if names and controller not in names.split(","):
            continue
        base = mount / controller if names else mount
        inner = [part for part in path.split("/") if part not in ("", "..")]
        yield from (base.joinpath(*inner[:depth]) for depth in range(len(inner), -1, -1))


def _packages(root: Path) -> int:
    """Sockets by the kernel's topology files, which Arm has too; 1 where they are not there."""
    cpus = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/physical_package_id")
    return len({text(path).strip() for path in cpus} - {"", "-1"}) or 1


def accelerators_on_bus(root: Path) -> list[tuple[str, str]]:
    """(platform, maker) of each accelerator on the bus, whether or not a driver answers for it."""
    found = []
    for vendor, _, kind in pci_bus(root):
        name, maker, classes = PCI.get(vendor, ("", "", ()))
        found += [(name, maker)] if classes and kind.startswith(classes) else []
    return found


def pci_bus(root: Path) -> list[tuple[str, str, str]]:
    """(vendor, device, class) of everything on the PCI bus, in the bus's order."""
    places = sorted((root / "sys/bus/pci/devices").glob("*"))
    files = ("vendor", "device", "class")
    told = ([text(place / name).strip() for name in files] for place in places)
    return [(vendor, device, kind) for vendor, device, kind in told]


def text(path: Path) -> str:
    """A file's text, "" where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

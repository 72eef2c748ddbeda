"""Two real engines, which the server launched: their processes, and what can be done to them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WORKER = "EngineCor"
"""How the kernel's 15 letters of a worker's name have it: VLLM::EngineCor."""


class Gone(Exception):
    """There is no such process now."""


def parents() -> dict[int, int]:
    """Every process's parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(stat.parent.name)] = int(fields[1])
    return found


def family(pid: int) -> list[int]:
    """All descendants."""
    parent_of = parents()

    def below(of: int) -> Iterator[int]:
        for child, parent in parent_of.items():
            if parent == of:
                yield child
                yield from below(child)

    return list(below(pid))


def leader(server: int, number: int) -> int:
    """The process that the server started for an engine, which answers its HTTP."""
    wanted = f"engine-{number}.sock".encode()
    for pid, parent in parents().items():
        if parent == server:
            with suppress(OSError):
                if wanted in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
    raise Gone(f"engine-{number} has no process")


def worker(server: int, number: int) -> int:
    """The process that computes."""
    for pid in family(leader(server, number)):
        with suppress(OSError):
            if WORKER in Path(f"/proc/{pid}/comm").read_text():
                return pid
    raise Gone(f"engine-{number} has no worker")


def socket_of(server: int, number: int) -> Path:
    words = Path(f"/proc/{leader(server, number)}/cmdline").read_bytes().split(b"\0")
    (path,) = [word for word in words if word.endswith(f"engine-{number}.sock".encode())]
    return Path(path.decode())


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def strike(server: int, number: int, kind: str) -> None:
    """Raises Gone where there is nothing to strike."""
    match kind:
        case "kill-leader":
            send(leader(server, number), signal.SIGKILL)
        case "kill-worker":
            send(worker(server, number), signal.SIGKILL)
        case "stop-worker":
            send(worker(server, number), signal.SIGSTOP)
        case "stop-group":
            head = leader(server, number)
            for pid in (head, *family(head)):
                send(pid, signal.SIGSTOP)
        case "unlink-socket":
            socket_of(server, number).unlink()
        case _:
            raise ValueError(kind)

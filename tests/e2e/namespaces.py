"""Two network namespaces joined by a veth pair: two nodes on one machine. For root alone."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


def why_not() -> str:
    """Why there can be none here; "" where there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "two network namespaces want root and iproute2"
    tried = subprocess.run(["ip", "netns", "add", f"sk{os.getpid()}t"], capture_output=True)
    if tried.returncode:
        return "ip netns add does not work here"
    subprocess.run(["ip", "netns", "del", f"sk{os.getpid()}t"], check=True)
    return ""


@contextmanager
def pair(*addresses: str) -> Iterator[tuple[str, str]]:
    """The names of two, which reach each other at these addresses and nobody else."""
    names = f"sk{os.getpid()}a", f"sk{os.getpid()}b"
    ends = f"{names[0]}v", f"{names[1]}v"
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", names[0], "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        _ip("-n", names[0], "link", "set", ends[1], "netns", names[1])
        for name, end, address in zip(names, ends, addresses, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/30", "dev", end)
            _ip("-n", name, "link", "set", end, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def inside(name: str) -> Iterator[Callable[[Callable[[], T]], T]]:
    """Runs functions in a thread that is in that namespace: sockets made there stay there."""

    def enter() -> None:
        handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(handle)

    with ThreadPoolExecutor(1, initializer=enter) as pool:
        yield lambda work: pool.submit(work).result()

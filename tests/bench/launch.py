"""Processes of the bench: each in a group of its own, waited for, and ended by that group."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_LAST_LINES: Final = 4


class NotStartedError(Exception):
    """A process that ended or stayed silent before it was ready; the message says why."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def status(address: str, path: str) -> int:
    """The HTTP status of one GET at HOST:PORT or unix:PATH; 0 when nobody answers."""
    try:
        reader, writer = await _open(address)
    except OSError:
        return 0
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        line = await asyncio.wait_for(reader.readline(), 5)
        return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
    except (OSError, TimeoutError):
        return 0
    finally:
        writer.close()


def tail(log: Path) -> str:
    """The last lines that a process wrote, for whoever asks why it did not start."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-_LAST_LINES:])[-400:] or "no output"


async def wait_ready(
    process: asyncio.subprocess.Process, log: Path, address: str, path: str, limit_s: float
) -> None:
    """Return once GET path answers 200; raise when the process ends or the limit passes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while loop.time() < deadline:
        if process.returncode is not None:
            raise NotStartedError(f"ended with {process.returncode}: {tail(log)}")
        if await status(address, path) == 200:
            return
        await asyncio.sleep(0.1)
    raise NotStartedError(f"not ready after {limit_s:.0f} s: {tail(log)}")


@asynccontextmanager
async def running(
    argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process group that does not outlive the block, whatever ends the block."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await asyncio.shield(_stop(process))


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        os.killpg(process.pid, signal.SIGKILL)  # whoever of the group is left
    await process.wait()


async def output(argv: Sequence[str], limit_s: float, env: Mapping[str, str] | None = None) -> str:
    """Run a Python module of the bench to its end and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), limit_s)
    finally:
        if process.returncode is None:
            await asyncio.shield(_stop(process))
    if process.returncode != 0:
        raise NotStartedError(complaint.decode(errors="replace").strip()[-400:] or "no output")
    return said.decode()

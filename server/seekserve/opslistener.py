"""Where operators reach the server, apart from its clients: a Unix socket of the owner's alone, and on
request a TCP port for scrapes.

The first server of a state folder owns `ops.sock`, for as long as it holds the lock beside it; another
one beside it has `ops-PID.sock`. What a killed server left behind is removed by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seekserve.binding import bound
from seekserve.errors import ConfigError
from seekserve.opsdoor import NAME, lives, others
from seekserve.settings import Listen

LOCK = "ops.lock"
BACKLOG = 64
MOST_BYTES = 128 * 1024
HEAD_S = 10.0
MOST_CONNECTIONS = 128  # of which so many as the Console has seats may stay


@contextmanager
def ops_socket(folder: Path) -> Iterator[socket.socket]:
    """Listening, mode 0600, removed on the way out. Raises ConfigError."""
    with _claimed(folder) as path:
        door = _bound(path)
        try:
            yield door
        finally:
            door.close()
            path.unlink(missing_ok=True)


def ops_port(listen: Listen | None) -> AbstractContextManager[socket.socket | None]:
    """The TCP port for scrapes, where one is wanted. Raises PortTaken or ConfigError."""
    if listen is None:
        return contextlib.nullcontext()
    return bound(listen, BACKLOG, f"--ops {listen.beside}")


@contextmanager
def _claimed(folder: Path) -> Iterator[Path]:
    """The path that is ours while we live: the kernel gives the lock back when we do not."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(folder / LOCK, flags, 0o600)
    except OSError as error:
        raise _cannot(folder / LOCK, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield folder / f"ops-{os.getpid()}.sock"
            return
        for left in others(folder):
            if not lives(left):
                left.unlink(missing_ok=True)
        yield folder / NAME
    finally:
        os.close(lock)


def _bound(path: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # never open to others, not even between bind and chmod
    try:
        if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
        door.bind(str(path))
    except OSError as error:
        door.close()
        raise _cannot(path, error) from error
    finally:
        os.umask(before)
    door.listen(BACKLOG)
    return door


def _cannot(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"Cannot make {path}, through which the server is operated: {error.strerror or error}.",
        f"SEEKSERVE_STATE_DIR must be a folder that user {os.geteuid()} may write to (in a container, on a "
        "volume of that user's), its path shorter than 90 characters, with nothing of that name in it.",
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 for few and small requests: more of either is hung up on."""

    _sent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._patience = self.loop.call_later(HEAD_S, self._too_slow)

    def on_response_complete(self) -> None:
        """The next request has as long as the first had."""
        super().on_response_complete()
        self._patience.cancel()
        self._patience = self.loop.call_later(HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def _too_slow(self) -> None:
        """One that has not asked for anything in all that time makes room for others."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._sent += len(data)
        if self._sent > MOST_BYTES:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_message_complete(self) -> None:
        self._sent = 0
        super().on_message_complete()


class Side(uvicorn.Server):
    """A server beside the API's, without signals of its own: it serves inside its `async with`."""

    def __init__(self, app: ASGIApp, door: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                loop="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )
        self._door, self._over = door, asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.serve(sockets=[self._door]))
        while not self.started and not self._task.done():
            await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await self._task

    def stop(self) -> None:
        """Asks it to end; leaving the `async with` waits for that."""
        self._over.set()

    async def main_loop(self) -> None:
        await self._over.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

"""The server's own socket and signals: bind first, so that a taken port is told before an engine starts."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seekserve.config import Config
from seekserve.errors import ConfigError, PortTaken
from seekserve.gateway.outlet import WRITER
from seekserve.settings import Listen

BACKLOG = 2048
MAX_EARLY = 64 * 1024
MAX_HEAD = 64 * 1024
TOO_LONG_A_HEAD = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\n"
    b"content-length: 46\r\nconnection: close\r\n\r\nThe headers are over 64 KiB. Send fewer ones.\n"
)


@contextmanager
def bound(listen: Listen) -> Iterator[socket.socket]:
    """A listening socket. Raises PortTaken or ConfigError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((listen.host, listen.port))
        except OSError as error:
            raise _why(listen, error) from error
        listener.listen(BACKLOG)
        yield listener


def _why(listen: Listen, error: OSError) -> PortTaken | ConfigError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {listen.port} on {listen.host} is taken by another program.",
            f"Stop that one, or choose another: --port {listen.port + 1}.",
        )
    if error.errno == errno.EACCES:
        return PortTaken(f"Port {listen.port} needs root.", "Choose one above 1023 with --port.")
    return ConfigError(f"Cannot listen on {listen.host}:{listen.port}: {error.strerror or error}.")


@dataclass(slots=True)
class Watched:
    """Of one connection: who wants to hear that it was lost, and what to do when nobody does any more."""

    over: Callable[[], None]
    by: set[Callable[[], None]] = field(default_factory=set)


class ChunkWriter:
    """Frames parts as HTTP chunks and writes them at once: `gateway.outlet.Writer` on uvicorn.

    `watched` is the connection's own: who hears that it was lost.
    """

    __slots__ = ("_flow", "_transport", "_watched")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, watched: Watched) -> None:
        self._transport, self._flow, self._watched = transport, flow, watched

    def write(self, data: bytes) -> bool:
        if not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not self._flow.write_paused

    @property
    def room(self) -> bool:
        return not self._flow.write_paused

    async def drain(self) -> None:
        await self._flow.drain()

    def drop(self) -> None:
        self._transport.abort()

    def watch(self, lost: Callable[[], None]) -> bool:
        self._watched.by.add(lost)
        self._flow.resume_reading()  # uvicorn pauses after 64 KiB of body, and a pause hides the end
        return not self._transport.is_closing()

    def unwatch(self, lost: Callable[[], None]) -> None:
        self._watched.by.discard(lost)
        self._watched.over()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which also lends its requests a writer.

    While an answer is watched the socket stays read, or its end would go unheard. What comes is a
    pipelined request: it waits unparsed, and more of it than MAX_EARLY ends the connection.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._early = b""
        self._in_head, self._ended, self._head = True, False, 0
        self._watched = Watched(self._soon)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for lost in tuple(self._watched.by):
            lost()

    def data_received(self, data: bytes) -> None:
        if not self._watched.by and not self._early:
            self._parse(data)
            return
        self._early += data
        if len(self._early) > MAX_EARLY:
            self.transport.close()

    def _parse(self, data: bytes) -> None:
        """Hands on to the parser, which keeps a head of any length: one over MAX_HEAD ends the connection."""
        self._ended = False
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head and not self._ended else 0
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.transport.write(TOO_LONG_A_HEAD)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = self._ended = True
        super().on_message_complete()

    def _soon(self) -> None:
        self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Hands on what came early, before anything that comes now."""
        if self._watched.by or self.transport.is_closing():
            return
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        lent = {WRITER: ChunkWriter(self.transport, self.flow, self._watched)}
        self.scope["extensions"] = cast(dict[str, dict[object, object]], lent)


class Server(uvicorn.Server):
    """uvicorn, with signals ours: the first asks it to finish, the second to drop what runs.

    `stopping` hears of each, and whether it is not the first.
    """

    stopping: Callable[[bool], None] = staticmethod(lambda again: None)

    @classmethod
    def of(cls, app: ASGIApp, config: Config) -> Server:
        # uvicorn warns of every head that is none: lines that anybody could fill the log with
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        return cls(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws="none",  # else an upgrade leads into another parser, where websockets is installed
                loop="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # nothing here looks at the client's address
                server_header=False,
                lifespan="on",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(config.listen.drain_s),
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would raise the signal again after serving, past our orderly exit."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        self.stopping(self.should_exit)
        self.force_exit, self.should_exit = self.should_exit, True

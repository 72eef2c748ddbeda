"""Both ends of HTTP: what an engine answers with, and the heads that clients send."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from seekserve.errors import EngineBroke
from seekserve.gateway.closing import Closing
from seekserve.gateway.connection import HIGH_WATER, Connection
from seekserve.listener import Server
from seekserve.wire import MAX_EARLY, MAX_HEAD, HttpProtocol
from tests.fuzz.cuts import Chooser, cut
from tests.support import config as settings

LARGEST = 64 * 1024
"""Of one read."""


class Wire(asyncio.Transport):
    """A transport to nowhere, which remembers how it was used."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 80)})
        self.written = bytearray()
        self.paused = self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise AssertionError("this server speaks HTTP/1.1 alone")


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Never run but by `at_rest`: callbacks are due when a fuzzer's step has ended."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    return made


def at_rest(steps: int = 8) -> None:
    for _ in range(steps):
        loop().run_until_complete(asyncio.sleep(0))


def answer(data: bytes) -> None:
    """An engine's answer: the same however it is cut, refused where it is none, never held without end."""
    chosen = Chooser(data)
    seed, poured = chosen.number(2), chosen.yes()
    whole = _answered([chosen.rest], poured)
    parts = _answered(cut(chosen.rest, seed), poured)
    assert parts == whole, f"{cut(chosen.rest, seed)!r}\n{parts}\n{whole}"


def _answered(reads: list[bytes], poured: bool) -> tuple[Any, ...]:
    connection, wire, got = Connection(loop()), Wire(), bytearray()
    connection.connection_made(wire)
    connection.send(b"POST / HTTP/1.1\r\n\r\n", 60.0)
    if poured:
        connection.pour(lambda data: bool(got.extend(data) or got))  # type: ignore[func-returns-value]
    for read in reads:
        connection.data_received(read)
        if not poured:
            held = connection._size
            assert held <= HIGH_WATER + LARGEST or wire.paused
    usable = connection.usable
    if not poured:
        got += connection._taken()
    connection.connection_lost(None)
    if not connection.complete:
        _told_why(connection)
    assert not connection.release(), "nothing that is lost is used again"
    if connection.complete:
        assert not (usable and connection._broken)
        return connection.status, connection.headers, bytes(got)
    # how far it was read before it broke is nobody's business
    return () if connection._broken else (connection.status, connection.headers, bytes(got))


def _told_why(connection: Connection) -> None:
    """What ends early is told as the engine's failure, not waited for."""
    reading = connection.poured()
    try:
        reading.send(None)
    except EngineBroke:
        return
    raise AssertionError("a lost connection is waited for")


@cache
def _listening() -> uvicorn.Config:
    config = Server(_echo, settings()).config
    config.load()
    return config


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body, as every route does, and answers with its size."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def heads(data: bytes) -> None:
    """A client's bytes: answered or ended, never raised at, never kept without end."""
    chosen = Chooser(data)
    seed, times = chosen.number(2), 1 + chosen.number() % 32
    asyncio.set_event_loop(loop())
    state = ServerState()
    protocol = HttpProtocol(_listening(), state, {}, settings().listen, Closing())
    wire = Wire()
    protocol.connection_made(cast(asyncio.Transport, wire))
    fed = 0
    for read in cut(chosen.rest * times, seed):
        if wire.closed:
            break
        protocol.data_received(read)
        fed += len(read)
        at_rest(2)
        assert len(protocol._early) <= MAX_EARLY + len(read)
        assert protocol._fruitless <= MAX_HEAD or wire.closed
    at_rest()
    assert fed < 3 or not wire.written or bytes(wire.written).startswith(b"HTTP/1.1 ")
    protocol.connection_lost(None)
    at_rest()
    assert not state.tasks, "a client that left has left a task"
    assert not state.connections

"""Clients that misbehave: they do not read, do not finish, hang up in the middle, or only knock.

None of what they ask is among the requests that a verdict counts; what they leave behind is.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Coroutine, Iterable
from contextlib import suppress

from tests.chaos.asks import Ask
from tests.chaos.load import Load

SLOW, SLOW_S = 6, 6.0
HALVES = 20
RESETS = 12
KNOCKS, AT_ONCE = 2000, 100
HARD = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _open(port: int, buffer: int = 0) -> Ends:
    line = socket.socket()
    line.setblocking(False)
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=line, limit=1024)


async def slow_readers(load: Load) -> None:
    """Streams read by the spoonful, and left."""

    async def one(ask: Ask) -> None:
        reader, writer = await _open(load.port, buffer=2048)
        writer.write(_request(load, ask))
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOW_S):
                while await reader.read(16):
                    await asyncio.sleep(0.2)
        writer.close()

    await _all(one(ask) for ask in _streams(load, SLOW))


async def resets(load: Load) -> None:
    """Hung up on in the middle of a stream, without a goodbye."""

    async def one(ask: Ask) -> None:
        reader, writer = await _open(load.port)
        writer.write(_request(load, ask))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await reader.read(300)
        taken: socket.socket = writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
        writer.transport.abort()

    await _all(one(ask) for ask in _streams(load, RESETS))


async def half_open(load: Load) -> None:
    """Half a head, half a body, or a whole request after which the client says that it is done sending."""

    async def one(number: int, ask: Ask) -> None:
        request = _request(load, ask)
        cut = (40, len(request) - 10, len(request))[number % 3]
        _, writer = await _open(load.port)
        writer.write(request[:cut])
        await writer.drain()
        if number % 3 == 2:
            writer.write_eof()
        await asyncio.sleep(2 + number % 3)
        writer.close()

    await _all(one(n, ask) for n, ask in enumerate(_streams(load, HALVES)))


async def storm(load: Load) -> None:
    """Thousands that connect and leave, every other one with half a word."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            _, writer = await _open(load.port)
            if number % 2:
                writer.write(b"POST /v1/ch")
            writer.close()

    await _all(one(number) for number in range(KNOCKS))


WAYS = {"slow-readers": slow_readers, "resets": resets, "half-open": half_open, "storm": storm}


async def _all(jobs: Iterable[Coroutine[None, None, None]]) -> None:
    """A refused or broken connection is theirs to have."""
    told = await asyncio.gather(*jobs, return_exceptions=True)
    for one in told:
        if isinstance(one, Exception) and not isinstance(one, OSError):
            raise one


def _streams(load: Load, count: int) -> list[Ask]:
    streams = [ask for ask in load.asks if ask.stream and ask.dialect == "chat"]
    return [streams[number % len(streams)] for number in range(count)]


def _request(load: Load, ask: Ask) -> bytes:
    return ask.request(load.model, load.keys["public"], "rude")

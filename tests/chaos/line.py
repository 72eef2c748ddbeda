"""One client connection to the server: a request out, whatever comes back in, with its moments.

Nothing is judged here. A connection is kept for the next request as any client would, and bytes that
nobody asked for are remembered against the request before them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

import httptools


@dataclass(slots=True, eq=False)
class Heard:
    """What came of one request. `end` is how the message ended: whole, cut, late, or deaf (no connection);
    `moments` are when (monotonic) pieces of the body came; `stray` counts bytes after its end.
    """

    status: int = 0
    kind: str = ""
    retry_after: str = ""
    body: bytearray = field(default_factory=bytearray)
    moments: list[float] = field(default_factory=list)
    end: str = ""
    stray: int = 0


class Line(asyncio.Protocol):
    """`usable` says whether another request may follow."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[str] | None = None
        self._heard = Heard()
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's do not derive from asyncio's
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._settle("cut")

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._done.done():
            self._heard.stray += len(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._settle("cut")
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-type":
                self._heard.kind = value.decode("latin-1")
            case b"retry-after":
                self._heard.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._heard.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._heard.body += body
        self._heard.moments.append(time.monotonic())

    def on_message_complete(self) -> None:
        reusable = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)  # each answer has one of its own
        self._settle("whole")
        if not reusable:
            self.close()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes, within_s: float, heard: Heard) -> None:
        """Into `heard`, until the answer has ended, the connection has, or the time is over."""
        assert self._transport is not None
        self._heard = heard
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await asyncio.wait([self._done], timeout=within_s)
        self._settle("late")
        if self._heard.end != "whole":
            self.close()

    def _settle(self, end: str) -> None:
        if self._done is not None and not self._done.done():
            self._heard.end = end
            self._done.set_result(end)


async def dial(port: int) -> Line | None:
    """None when nobody takes the call."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(10):
            _, line = await loop.create_connection(Line, "127.0.0.1", port)
    except (OSError, TimeoutError):
        return None
    return line

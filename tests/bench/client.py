"""One client connection of the load generator: a request out, a stream in, kept alive."""

import asyncio
import re
import time
from typing import Final, cast

import httptools

# A first token is the first delta with text in it: the role chunk's content is empty.
_FIRST_TEXT: Final = re.compile(rb'"(?:content|reasoning|reasoning_content)": ?"[^"]')


class Client(asyncio.Protocol):
    """One connection: sends a request, reads its stream, resolves `done` with the body."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[bytes] | None = None
        self._waits = False
        self.lost = False
        self.first_at = 0.0
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._settle()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        if self._waits and _FIRST_TEXT.search(body):
            self.first_at = time.perf_counter()
            self._waits = False

    def on_message_complete(self) -> None:
        # Each answer gets a parser of its own: a server may close after any of them.
        reusable = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if not reusable:
            self.close()
        self._settle()

    def close(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.close()

    async def stream(self, request: bytes) -> bytes:
        """Send, and return the whole body when the answer ends or the connection breaks."""
        assert self._transport is not None
        self._body, self.status, self.first_at, self._waits = [], 0, 0.0, True
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._done

    def _settle(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(b"".join(self._body))


async def connect(address: str) -> Client:
    """A connection over TCP (host:port) or a Unix socket (unix:/path)."""
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        return (await loop.create_unix_connection(Client, address.removeprefix("unix:")))[1]
    host, _, port = address.rpartition(":")
    return (await loop.create_connection(Client, host, int(port)))[1]

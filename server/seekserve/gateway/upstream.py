"""Connections to every engine, over Unix sockets and TCP, kept alive between requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seekserve.engine.address import Address
from seekserve.errors import EngineLost
from seekserve.gateway.connection import Connection

CONNECT_S = 5.0
TOKENLESS = frozenset({"/tokenize", "/detokenize"})
"""What vLLM's API process answers by itself: no sign that the engine works."""


class Upstream:
    """Keep-alive connections to every engine. The number in use is bounded by admission's places."""

    def __init__(self, engine_key: str | None = None) -> None:
        self._idle: dict[Address, list[Connection]] = {}
        self._busy: dict[Address, dict[Connection, str]] = {}
        self._heard: dict[Address, float] = {}
        self._credential = f"authorization: Bearer {engine_key}\r\n".encode() if engine_key else b""

    def __repr__(self) -> str:
        return f"<Upstream {sum(len(idle) for idle in self._idle.values())} idle>"

    @asynccontextmanager
    async def exchange(
        self,
        address: Address,
        path: str,
        body: bytes,
        request_id: str,
        tick_s: float,
        fresh: bool = False,
        context: bytes = b"",
    ) -> AsyncIterator[Connection]:
        """POSTs `body` and yields the connection the answer comes on; `fresh` wants a new one.
        `context` are lines of the head that say where in a distributed trace this stands.

        Raises EngineLost.
        """
        reused = None if fresh else self._reuse(address)
        connection = reused or await self._connect(address)
        connection.reused = reused is not None
        busy = self._busy.setdefault(address, {})
        busy[connection] = path
        try:
            connection.send(self._request(address, path, body, request_id, context), tick_s)
            yield connection
        finally:
            del busy[connection]
            if path not in TOKENLESS:
                self._heard[address] = max(connection.heard_at, self._heard.get(address, 0.0))
            if connection.release():
                self._idle.setdefault(address, []).append(connection)

    def heard_at(self, address: Address) -> float:
        """When (the loop's clock) an engine last made something for us."""
        busy = self._busy.get(address, {}).items()
        now = (connection.heard_at for connection, path in busy if path not in TOKENLESS)
        return max((self._heard.get(address, 0.0), *now))

    def sever(self, address: Address) -> None:
        """Ends every exchange with an engine that is found not to work: what it held goes elsewhere."""
        for connection in (*self._busy.get(address, ()), *self._idle.pop(address, ())):
            connection.reused = (
                False  # its end is the engine's, not that of a connection gone stale
            )
            connection.close()

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _request(
        self, address: Address, path: str, body: bytes, request_id: str, context: bytes
    ) -> bytes:
        head = (
            f"POST {address.base}{path} HTTP/1.1\r\nhost: {address.authority}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n"
        )
        return b"".join((head.encode("latin-1"), context, self._credential, b"\r\n", body))

    def _reuse(self, address: Address) -> Connection | None:
        """The connection used last, which is the one least likely to have gone stale."""
        idle = self._idle.get(address, [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(loop)

        try:
            async with asyncio.timeout(CONNECT_S):
                if address.path:
                    _, connection = await loop.create_unix_connection(protocol, address.path)
                else:
                    _, connection = await loop.create_connection(
                        protocol, address.host, address.port
                    )
        except (OSError, TimeoutError) as error:
            raise EngineLost(
                "The engine does not accept connections right now. Try again shortly.",
                code="engine_unreachable",
                retry_after_s=2,
            ) from error
        return connection

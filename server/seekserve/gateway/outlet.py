"""The way to the client: how an answer begins, flows, is bridged over silences, and fails.

A stream's parts do not pass through ASGI's `send`, which costs a chain of coroutines per part. The
server's listener puts a `Writer` of the same connection into the scope's extensions; heads, ends and
errors still go by `send`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, cast

from starlette.types import Message, Scope, Send

from seekserve.errors import Refusal
from seekserve.gateway.ask import Pinging, Voice
from seekserve.gateway.trace import refuse, trace_of

WRITER = "seekserve.writer"
UNREAD_S = 60.0  # a client that does not read for so long has left
KEEP_ALIVE = b": keep-alive\n\n"
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx in front of us gathers what should flow
]


class ClientGone(Exception):
    """The client hung up. Not an error of anybody's."""


class Writer(Protocol):
    """Writes parts of a response whose head was sent without a length."""

    @property
    def room(self) -> bool:
        """Whether what is written next would be sent soon."""

    def write(self, data: bytes) -> bool:
        """Hands `data` to the socket; whether there is still room."""

    async def drain(self) -> None:
        """Returns when there is room again."""

    def drop(self) -> None:
        """Ends the connection at once, whatever was still to be sent."""

    def watch(self, lost: Callable[[], None]) -> bool:
        """Calls `lost` when the client hangs up; False when it has already."""

    def unwatch(self, lost: Callable[[], None]) -> None:
        """Forgets `lost`."""


class Outlet:
    """The way to the client: knows whether the answer has begun, hence how a failure is told."""

    def __init__(self, send: Send, scope: Scope) -> None:
        self.send, self._scope = send, scope
        self.writer: Writer = scope["extensions"][WRITER]
        self._started = False
        self.voice: Voice | None = None

    async def start(self, headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
        if not self._started:
            self._started = True
            await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def comment(self) -> None:
        """Bridges a silence: SSE readers skip it, and nobody's idle timer runs out.

        A client that has not read what is there needs no more, and must not hold us up.
        """
        await self.start(STREAM_HEADERS)
        if not self.writer.room:
            return
        bridge = self.voice.silence() if isinstance(self.voice, Pinging) else KEEP_ALIVE
        await self.send({"type": "http.response.body", "body": bridge, "more_body": True})

    async def whole(self, body: bytes) -> None:
        length = str(len(body)).encode()
        await self.start([(b"content-type", b"application/json"), (b"content-length", length)])
        patience_s = UNREAD_S * (1 + len(body) / 2**20)
        await self._sent({"type": "http.response.body", "body": body}, patience_s)

    async def end(self) -> None:
        await self._sent({"type": "http.response.body", "body": b""})

    async def _sent(self, message: Message, patience_s: float = UNREAD_S) -> None:
        """Raises ClientGone, and drops the connection, when the client does not read on."""
        try:
            async with asyncio.timeout(patience_s):
                await self.send(message)
        except TimeoutError:
            self.writer.drop()
            raise ClientGone from None

    async def read_on(self) -> None:
        """Waits until the client has read some. Raises ClientGone when it does not."""
        try:
            async with asyncio.timeout(UNREAD_S):
                await self.writer.drain()
        except TimeoutError:
            self.writer.drop()
            raise ClientGone from None

    async def fail(self, refusal: Refusal) -> None:
        """A whole error answer, or after the first byte one error event and the end."""
        if not self._started:
            await refuse(refusal, self._scope, self.send)
            return
        trace_of(self._scope).reason = refusal.code or refusal.type
        event = (
            self.voice.failed(refusal) if self.voice else b"data: " + refusal.envelope() + b"\n\n"
        )
        with contextlib.suppress(ClientGone):
            await self._sent({"type": "http.response.body", "body": event, "more_body": True})
            await self.end()

    async def farewell(self, refusal: Refusal) -> None:
        """`fail` without waiting: a client that has stopped reading goes without."""
        if self.writer.room:
            await self.fail(refusal)


class WhileConnected:
    """Cancels the block when the client hangs up, and says so by raising ClientGone.

    A callback, not a task that waits in `receive`: that would be a task more for every stream.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer, self._left = writer, False

    async def __aenter__(self) -> None:
        self._task = cast(asyncio.Task[None], asyncio.current_task())
        if not self._writer.watch(self._lost):
            self._writer.unwatch(self._lost)
            raise ClientGone

    def _lost(self) -> None:
        self._left = True
        self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.unwatch(self._lost)
        if self._left and kind is asyncio.CancelledError and self._task.uncancel() == 0:
            raise ClientGone from None

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
from seekserve.gateway.record import trace_of
from seekserve.gateway.trace import refuse

WRITER = "seekserve.writer"
KEEP_ALIVE = b": keep-alive\n\n"
JSON_HEADERS = [(b"content-type", b"application/json")]
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx in front of us gathers what should flow
]


class ClientGone(Exception):
    """The client hung up. Not an error of anybody's."""


class Writer(Protocol):
    """Writes parts of a response whose head was sent without a length.

    A client that does not read for `unread_s` has left.
    """

    unread_s: float

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
    """The way to the client: knows whether the answer has begun, hence how a failure is told.

    `voice` is the stream's; None for an answer that is sent whole. `patient_ticks` silences go by
    before such an answer is begun with blank lines, which JSON readers skip: from then on its status
    is told, so an early failure should still have one of its own.
    """

    def __init__(
        self, send: Send, scope: Scope, voice: Voice | None = None, patient_ticks: int = 0
    ) -> None:
        self.send, self._scope = send, scope
        self.writer: Writer = scope["extensions"][WRITER]
        self._started = False
        self.voice = voice
        self._patient_ticks = patient_ticks

    async def start(self, headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
        if not self._started:
            self._started = True
            await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def bridge(self) -> None:
        """Bridges a silence with what the client's reader skips, so that nobody's idle timer runs out.

        A client that has not read what is there needs no more, and must not hold us up.
        """
        self._patient_ticks -= 1
        if self.voice is None and self._patient_ticks > 0:
            return
        await self.start(JSON_HEADERS if self.voice is None else STREAM_HEADERS)
        if self.writer.room:
            blank = self._blank()
            await self.send({"type": "http.response.body", "body": blank, "more_body": True})

    def _blank(self) -> bytes:
        if self.voice is None:
            return b"\n"
        return self.voice.silence() if isinstance(self.voice, Pinging) else KEEP_ALIVE

    async def whole(self, body: bytes) -> None:
        await self.start([*JSON_HEADERS, (b"content-length", str(len(body)).encode())])
        patience_s = self.writer.unread_s * (1 + len(body) / 2**20)
        await self._sent({"type": "http.response.body", "body": body}, patience_s)

    async def end(self) -> None:
        await self._sent({"type": "http.response.body", "body": b""})

    async def _sent(self, message: Message, patience_s: float | None = None) -> None:
        """Raises ClientGone, and drops the connection, when the client does not read on."""
        try:
            async with asyncio.timeout(patience_s or self.writer.unread_s):
                await self.send(message)
        except TimeoutError:
            self.writer.drop()
            raise ClientGone from None

    async def read_on(self) -> None:
        """Waits until the client has read some. Raises ClientGone when it does not."""
        try:
            async with asyncio.timeout(self.writer.unread_s):
                await self.writer.drain()
        except TimeoutError:
            self.writer.drop()
            raise ClientGone from None

    async def fail(self, refusal: Refusal) -> None:
        """A whole error answer, or after the first byte one error event and the end.

        An answer that was begun with blank lines has its status already: its body is the error, and is
        cut off before its end, so that no client takes it for an answer.
        """
        if not self._started:
            await refuse(refusal, self._scope, self.send)
            return
        trace = trace_of(self._scope)
        trace.reason = refusal.code or refusal.type
        told = self.voice.failed(refusal) if self.voice else trace.told(refusal)
        with contextlib.suppress(ClientGone):
            await self._sent({"type": "http.response.body", "body": told, "more_body": True})
            await (self.end() if self.voice else self._cut())

    async def _cut(self) -> None:
        await self.read_on()
        self.writer.drop()

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

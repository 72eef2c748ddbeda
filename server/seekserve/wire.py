"""One client's connection: uvicorn's HTTP/1.1 with bounds on what a client may send, owe or leave unread.

A client owes a head once it has connected or begun one, and the rest of a body that was answered before
its end. What is owed comes within `head_s`, what is there is read on within `unread_s`, or the connection
ends: `look` is called for every connection again and again, which costs less than timers for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from seekserve.gateway.closing import Closing
from seekserve.gateway.outlet import WRITER
from seekserve.settings import Listen

MAX_EARLY = 64 * 1024
MAX_HEAD = 64 * 1024
MAX_BEHIND = 32
UNSENT = 64 * 1024
"""What is written to a client and not yet taken by the kernel, before a stream's engine is not read."""


def bare(status: str, text: str, *headers: str) -> bytes:
    """A whole answer to what never became a request, and the end of its connection."""
    lines = [f"HTTP/1.1 {status}", "content-type: text/plain", f"content-length: {len(text)}"]
    return "\r\n".join((*lines, *headers, "connection: close", "", text)).encode()


TOO_LONG_A_HEAD = bare(
    "431 Request Header Fields Too Large", "The headers are over 64 KiB. Send fewer ones.\n"
)
TOO_SLOW_A_HEAD = bare(
    "408 Request Timeout", "The headers did not arrive in time. Send the request again.\n"
)


@dataclass(slots=True)
class Watched:
    """Of one connection: who wants to hear that it was lost, and what to do when nobody does any more."""

    over: Callable[[], None]
    by: set[Callable[[], None]] = field(default_factory=set)


class ChunkWriter:
    """Frames parts as HTTP chunks and writes them at once: `gateway.outlet.Writer` on uvicorn.

    `watched` is the connection's own: who hears that it was lost.
    """

    __slots__ = ("_flow", "_transport", "_watched", "unread_s")

    def __init__(
        self, transport: asyncio.Transport, flow: FlowControl, watched: Watched, unread_s: float
    ) -> None:
        self._transport, self._flow, self._watched = transport, flow, watched
        self.unread_s = unread_s

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

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        listen: Listen,
        closing: Closing,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._listen, self._closing = listen, closing
        self._early = b""
        self._in_head, self._moved, self._fruitless = True, False, 0
        self._owes_since = self._read_at = 0.0
        self._unsent = 0
        self._watched = Watched(self._soon)

    # What the event loop and the parser call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._owes_since = self._read_at = self.loop.time()
        transport.set_write_buffer_limits(high=UNSENT)  # TLS comes with eight times as much

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
        """Hands on to the parser, which keeps a head, a trailer or a chunk's extension of any length: over
        MAX_HEAD bytes that bring nothing to an end, and nothing of a body, end the connection.
        """
        self._moved = False
        super().data_received(data)
        self._fruitless = 0 if self._moved else self._fruitless + len(data)
        if self._in_head and not self._moved and not self._owes_since:
            self._owes_since = (
                self.loop.time()
            )  # blank lines begin no message, but end uvicorn's timer
        if self._fruitless > MAX_HEAD:
            self._end_with(TOO_LONG_A_HEAD)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._owes_since = self.loop.time()
        lent = ChunkWriter(self.transport, self.flow, self._watched, self._listen.unread_s)
        self.scope["extensions"] = cast(dict[str, dict[object, object]], {WRITER: lent})

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer must not pass for a header, which was judged before it came
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._moved, self._owes_since = False, True, 0.0
        if len(self.pipeline) >= MAX_BEHIND:
            self.transport.abort()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._moved, self._owes_since = True, True, 0.0
        super().on_message_complete()
        self.cycle.more_body = False  # uvicorn leaves it where the answer came first
        if self._closing.begun:
            self.be_last()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._owes_since or (self.cycle.response_complete and self.cycle.more_body):
            self._owes_since = self.loop.time()

    # What waits.

    def _soon(self) -> None:
        self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Hands on what came early, before anything that comes now."""
        if self._watched.by or self.transport.is_closing():
            return
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    # What the server calls.

    def look(self, now: float) -> None:
        """Ends the connection of a client that does not send what it owes, or read what is there."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._read_at = now
        elif now - self._read_at > self._listen.unread_s:
            self.transport.abort()
        self._unsent = unsent
        if self._owes_since and now - self._owes_since > self._listen.head_s and not self._busy:
            self._end_with(TOO_SLOW_A_HEAD if self._in_head and self._fruitless else b"")

    def be_last(self) -> None:
        """The answer under way says that the connection ends with it, where it has not begun.

        While its request is still arriving it says nothing: to hang up on one who writes loses the answer.
        """
        if self._busy and not self.cycle.more_body and not self.cycle.response_started:
            self.cycle.keep_alive = False

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end_with(self, answer: bytes) -> None:
        """Says why where an answer can be told apart from one under way."""
        if self._busy:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

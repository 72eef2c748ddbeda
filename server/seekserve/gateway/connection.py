"""One HTTP/1.1 connection to an engine: the hot path.

It carries one request at a time. A stream is poured: each read goes from the socket's callback to the
client's socket, without a task switch, and whatever arrived together leaves together. Left before its
answer is complete a connection is aborted, which is how an engine is told to stop working. Bytes that
nobody fetches stop being read at HIGH_WATER.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

import httptools

from seekserve.errors import EngineBroke, EngineLost, HungUp

HIGH_WATER = 256 * 1024
MAX_HEAD = 64 * 1024
IDLE_S = 4.0  # vLLM hangs up idle connections after 5 s by default: be the first to do so

Sink = Callable[[bytes], bool]
"""Takes bytes; whether it has room for more."""


class Poured(Enum):
    """Why `Connection.poured` returned."""

    DONE = "done"
    FULL = "full"
    SILENT = "silent"


class Connection(asyncio.Protocol):
    """`status` and `headers` are the answer's, once `head` returned; `heard_at` is when (the loop's
    clock) the engine last said a part of an answer on it: a head comes from its API process alone.
    """

    __slots__ = (  # touched by every chunk of every stream: the fewer cache lines, the better
        "_broken", "_failure", "_full", "_head_size", "_keep", "_loop", "_lost", "_parser", "_parts",
        "_paused", "_sink", "_size", "_tick_s", "_ticked_at", "_timer", "_transport", "_waiter", "complete",
        "headers", "heard_at", "idle_since", "on_body", "reused", "status",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lost = False
        self.heard_at, self._ticked_at, self._tick_s = 0.0, 0.0, 1.0
        self.reused, self.idle_since = False, 0.0
        self._reset()

    def _reset(self) -> None:
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # the parser's callback, without a frame of Python
        self._parser = httptools.HttpResponseParser(self)
        self._sink: Sink | None = None
        self._failure: Exception | None = None
        self._full = self._keep = self._paused = False
        self._size = self._head_size = self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self._broken = ""

    # What the event loop and the parser call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._wake(True)

    def data_received(self, data: bytes) -> None:
        if self.complete:
            self._broken = "it spoke out of turn"  # nobody asked: this connection is used no more
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._broken = self._broken or "it does not speak HTTP"
        if not self.status:
            self._heading(len(data))
        if self._sink is not None:
            self._pass_on(self._sink)
            return
        self._size += len(data)
        if self._size > HIGH_WATER:
            self._pause()
        self._wake(True)

    def on_message_begin(self) -> None:
        if self.complete:  # raising keeps what follows out of the answer
            raise ValueError("it spoke out of turn")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._heading(len(name) + len(value))
        if not self._broken:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue, 103 Early Hints: the answer is still to come
            self.headers.clear()
        elif not self._broken:
            self.status = status

    def _heading(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self._broken = "its headers are longer than 64 KiB"

    def on_message_complete(self) -> None:
        self.complete = bool(self.status)
        self._keep = bool(self._parser.should_keep_alive())  # true only while the message ends

    # What the relay calls.

    def send(self, request: bytes, tick_s: float) -> None:
        """Writes a whole request. From now on every `tick_s` seconds of silence wake the reader."""
        self._reset()
        self.heard_at = 0.0
        assert self._transport is not None
        self._transport.write(request)
        self._ticked_at = self._loop.time()
        self._tick_s = tick_s
        self._timer = self._loop.call_later(tick_s, self._tick)

    async def head(self) -> bool:
        """True when `status` is known, False after a silent tick. Raises EngineBroke."""
        while not self.status:
            self._check()
            if not await self._news():
                return False
        return True

    async def read(self) -> bytes | None:
        """All that has come since the last call: b"" at the end, None after a silent tick."""
        while not self._parts:
            if self.complete:
                return b""
            self._check()
            if not await self._news():
                return None
        data = self._taken()
        self.resume()
        return data

    def pour(self, sink: Sink) -> None:
        """From now on each read goes to `sink` right in the event loop's callback: no task wakes for it.

        A sink that answers False is full, and reading stops until `resume`. Errors it raises come out
        of `poured`.
        """
        self._sink = sink
        self.resume()
        self._pass_on(sink)

    async def poured(self) -> Poured:
        """Waits until the pouring ends, pauses or was silent for a tick. Raises EngineBroke."""
        while True:
            if self._failure:
                raise self._failure
            if self.complete:
                return Poured.DONE
            if self._full:
                return Poured.FULL
            self._check()
            if not await self._news():
                return Poured.SILENT

    def resume(self) -> None:
        self._full = False
        if self._paused and self._transport:
            self._paused = False
            self._transport.resume_reading()

    def release(self) -> bool:
        """Ends the exchange; True when the connection may carry another. Else it is aborted."""
        if self._timer:
            self._timer.cancel()
        fit = self.complete and not self._lost and not self._broken
        if fit and self._keep:
            self._sink = None  # it holds the client that was
            self._parts.clear()
            self.resume()
            self.idle_since = self._loop.time()
            return True
        self.close()
        return False

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    @property
    def usable(self) -> bool:
        closing = self._transport is None or self._transport.is_closing()
        fresh = self._loop.time() - self.idle_since < IDLE_S
        return fresh and not (self._lost or self._broken or closing)

    def _pass_on(self, sink: Sink) -> None:
        if self._parts and self._failure is None:
            self.heard_at = self._loop.time()
            try:
                data = self._parts.pop() if len(self._parts) == 1 else self._taken()
                if not sink(data) and not self.complete:
                    self._full = True
                    self._pause()
            except Exception as error:  # noqa: BLE001  raised again in the task that waits in `poured`
                self._failure = error
        if self.complete or self._full or self._broken or self._failure:
            self._wake(True)

    def _taken(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = 0
        return data

    def _pause(self) -> None:
        if not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()

    def _check(self) -> None:
        if self._broken:
            raise EngineBroke(f"The engine's answer could not be read: {self._broken}.")
        if self._lost and self.reused and not self._head_size:
            raise HungUp("The engine closed the connection before it answered.")
        if self._lost:
            raise EngineLost("The engine closed the connection before its answer was complete.")

    async def _news(self) -> bool:
        self._waiter = waiter = self._loop.create_future()
        try:
            news: bool = await waiter
            return news
        finally:
            self._waiter = None

    def _wake(self, news: bool) -> None:
        if news and self._parts and self.status == 200:  # its API process refuses by itself
            self.heard_at = self._loop.time()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(news)

    def _tick(self) -> None:
        """One timer per exchange, however many chunks come: it looks when the last one came."""
        left = max(self.heard_at, self._ticked_at) + self._tick_s - (now := self._loop.time())
        if left <= 0.001:
            self._wake(False)
            self._ticked_at, left = now, self._tick_s
        self._timer = self._loop.call_later(left, self._tick)

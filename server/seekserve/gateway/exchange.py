"""One try of one request at one engine: bytes up, events down, whatever that engine does.

What it holds (the connection) ends with the `async with` that opened it. Every failure of the engine's is
an EngineBroke; whether the request goes elsewhere after it is for the relay to say.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from seekserve.errors import BadRequest, EngineBroke, HungUp, Refusal
from seekserve.gateway.ask import Ask, Steps, encoded
from seekserve.gateway.connection import Connection, Poured
from seekserve.gateway.kept import ASKED
from seekserve.gateway.lease import Lease
from seekserve.gateway.outlet import STREAM_HEADERS, Outlet
from seekserve.gateway.record import Trace
from seekserve.gateway.said import ODD, answer_of, counted, engine_said, finish, kind_of, odd
from seekserve.gateway.sse import Tap
from seekserve.gateway.upstream import Upstream
from seekserve.settings import Limits, Listen

MOST_ID = 128
WHOLE_ANSWER = 6  # times `idle_s`: an hour by default, far beyond every client's own patience

Feed = Callable[[bytes], bytes]


@dataclass(slots=True)
class Exchange:
    """`tap` reads a stream; None for an answer that is sent whole."""

    upstream: Upstream
    listen: Listen
    limits: Limits
    ask: Ask
    lease: Lease
    trace: Trace
    outlet: Outlet
    tap: Tap | None
    context: bytes = b""
    fresh: bool = False

    async def run(self) -> bytes | None:
        """Streams, or returns the whole answer."""
        try:
            return await self._once()
        except HungUp:  # the idle connection ended while we wrote: nothing was worked on
            self.fresh = True
            return await self._once()

    async def call(self, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Asks the engine something that generates nothing."""
        async with self._asked(path, encoded(wanted)) as connection:
            said = await self._body(connection)
            if connection.status != 200:
                raise engine_said(connection.status, said, path)
        return answer_of(said)

    async def stream(self, path: str, said: bytes, feed: Feed) -> None:
        """`said` to `path`, and its events through `feed` to the client."""
        async with self._asked(path, said) as connection:
            await self._refused(connection, path)
            await self._poured(connection, feed)

    async def _once(self) -> bytes | None:
        path, said = self.ask.accent.path, self.ask.body
        if self.ask.steps:
            said = await self._stepped(self.ask.steps())
        if self.tap and (kept := self.tap.kept) is not None:
            kept.asked, said = said, said[:-1] + ASKED
        async with self._asked(path, said) as connection:
            await self._refused(connection, path)
            if self.tap is None:
                return await self._whole(connection)
            await self._streamed(connection, self.tap)
            return None

    async def _stepped(self, steps: Steps) -> bytes:
        """Makes the calls that come before the request, and returns its body."""
        try:
            path, wanted = next(steps)
            while True:
                path, wanted = steps.send(await self.call(path, wanted))
        except StopIteration as end:
            return encoded(end.value)

    @asynccontextmanager
    async def _asked(self, path: str, said: bytes) -> AsyncIterator[Connection]:
        """A connection on which the engine has begun to answer. Raises EngineBroke."""
        address, tick_s = self.lease.engine.snapshot.address, self.listen.keepalive_s
        async with self.upstream.exchange(
            address, path, said, self.trace.engine_id, tick_s, self.fresh, self.context
        ) as connection:
            if not await self._head(connection):
                raise silent()
            yield connection

    async def _head(self, connection: Connection) -> bool:
        """Waits for the engine's status line; False when it stayed away too long.

        That is `idle_s` for a stream. A whole answer has no head before it is done: it may take longer.
        """
        for _ in range(self._patience if self.tap else self._patience * WHOLE_ANSWER):
            if await connection.head():
                return True
            await self.outlet.bridge()
        return False

    @property
    def _patience(self) -> int:
        """How many silent ticks are borne."""
        return max(1, round(self.listen.idle_s / self.listen.keepalive_s))

    async def _refused(self, connection: Connection, path: str) -> None:
        """Raises what a status that is not 200 means."""
        if connection.status != 200:
            raise engine_said(connection.status, await self._body(connection), path)
        kind = connection.headers.get(b"content-type", b"")
        wanted = b"text/event-stream" if self.tap else b"application/json"
        if not kind.startswith(wanted):
            raise EngineBroke(
                f"The engine answered with {kind_of(kind)} instead of what was asked."
            )

    async def _streamed(self, connection: Connection, tap: Tap) -> None:
        await self.outlet.start(STREAM_HEADERS)
        await self._poured(connection, tap.feed)
        if not tap.done:
            raise EngineBroke("The engine ended its stream before it was done.")

    async def _poured(self, connection: Connection, feed: Feed) -> None:
        """Lets the engine's reads flow into the client's socket, and minds what interrupts them."""
        connection.pour(self._sink(feed))
        silence = 0
        while (outcome := await connection.poured()) is not Poured.DONE:
            silence = silence + 1 if outcome is Poured.SILENT else 0
            if silence >= self._patience:
                raise silent()
            if outcome is Poured.SILENT:
                await self.outlet.bridge()
            else:
                await self.outlet.read_on()
                connection.resume()

    def _sink(self, feed: Feed) -> Callable[[bytes], bool]:
        write, tap = self.outlet.writer.write, self.tap
        assert tap is not None

        def sink(data: bytes) -> bool:
            try:
                out = feed(data)
            except ODD as error:
                raise odd(error) from error
            room = write(out) if out else True
            if tap.broke:
                raise tap.broke
            return room

        return sink

    async def _whole(self, connection: Connection) -> bytes:
        try:
            told = answer_of(await self._body(connection))
        except BadRequest:  # the engine has worked for it all the same
            if not self.ask.aside:
                self.trace.tokens = self.lease.estimate(self.lease.size.output)
            raise
        try:
            self.trace.tokens = counted(told.get("usage"))
            self.trace.finish = finish(told)
            self.trace.response = str(told.get("id") or "")[:MOST_ID]
            answer = self.ask.accent.answer(told)
            text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ODD as error:
            raise odd(error) from error
        return text.encode(errors="replace")

    async def _body(self, connection: Connection) -> bytes:
        parts, size, silence = [], 0, 0
        while (data := await connection.read()) != b"":
            silence = silence + 1 if data is None else 0
            if silence >= self._patience:
                raise silent()
            size += len(data or b"")
            if size > self.limits.answer_mib << 20:
                raise self._too_large(connection.status)
            parts.append(data or b"")
        return b"".join(parts)

    def _too_large(self, status: int) -> Refusal:
        """An answer is as large as the client asked for; only a refusal is the engine's own."""
        cap = self.limits.answer_mib
        if status != 200:
            return EngineBroke(f"The engine refused with status {status} in over {cap} MiB.")
        return BadRequest(
            f"The answer came to over {cap} MiB. Stream it, send less, or ask for fewer tokens, n or "
            "top_logprobs."
        )


def silent() -> EngineBroke:
    return EngineBroke("The engine fell silent.", code="engine_silent")

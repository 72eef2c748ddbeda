"""The response that owns its place at the engine: bytes up, events down, cancel, break.

Everything a request holds (place, connection, the watch on its client) hangs on one `async with` in
`Relay.__call__`, so leaving early is a normal path. Before the first byte a failure is an answer in
the client's own error shape; after it, one error event, then the end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seekserve.engine.address import Address
from seekserve.errors import EngineBroke, HungUp, Refusal, Stopping
from seekserve.gateway.admission import Admission
from seekserve.gateway.ask import Ask, Clock, Steps, encoded
from seekserve.gateway.caps import NOTHING, Caps
from seekserve.gateway.connection import Connection, Poured
from seekserve.gateway.lease import Lease
from seekserve.gateway.outlet import STREAM_HEADERS, ClientGone, Outlet, WhileConnected
from seekserve.gateway.said import ODD, answer_of, counted, engine_said, finish, kind_of, odd
from seekserve.gateway.sizes import Size, Wish
from seekserve.gateway.sse import Tap
from seekserve.gateway.trace import CLIENT_GONE, Trace, trace_of
from seekserve.gateway.upstream import Upstream
from seekserve.settings import Limits, Listen

WHOLE_ANSWER = 6  # times `idle_s`: an hour by default, far beyond every client's own patience


@dataclass(frozen=True, slots=True)
class Gateway:
    """What every relay shares. `asides` has places of its own, for questions that generate nothing."""

    admission: Admission
    asides: Admission
    upstream: Upstream
    listen: Listen
    limits: Limits
    clock: Clock
    caps: Caps


class Relay(Response):
    """An ASGI response that asks an engine and passes its answer on."""

    def __init__(self, gateway: Gateway, ask: Ask) -> None:
        self._gateway, self._ask = gateway, ask
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trace = trace_of(scope)
        voice = self._ask.accent.voice(self._ask.show_usage) if self._ask.stream else None
        outlet = Outlet(send, scope, voice, self._patient_ticks)
        wish = self._ask.wish(trace.key, trace.key_class)
        try:
            async with (
                WhileConnected(outlet.writer),
                self._gateway.caps.held(scope, lambda: self._expected(wish)),
            ):
                whole = await self._run(wish, trace, outlet)
                await (outlet.end() if whole is None else outlet.whole(whole))
        except ClientGone:
            trace.status, trace.finish = CLIENT_GONE, "client_gone"
        except asyncio.CancelledError:  # by the server, whose time to drain has run out
            cast(asyncio.Task[None], asyncio.current_task()).uncancel()
            await outlet.farewell(
                Stopping("The server is stopping. Send the request again.", retry_after_s=10)
            )
        except Refusal as refusal:
            await outlet.fail(refusal)

    def _expected(self, wish: Wish) -> Size:
        """What the key is charged until more is known."""
        return NOTHING if self._ask.aside else self._gateway.admission.sizes.of(wish)

    async def _run(self, wish: Wish, trace: Trace, outlet: Outlet) -> bytes | None:
        """Streams, or returns the whole answer. What is left to send then waits for a slow client
        without its place at the engine.
        """
        gateway = self._gateway
        tick_s = gateway.listen.keepalive_s
        admission = gateway.asides if self._ask.aside else gateway.admission
        async with admission.enter(wish, tick_s, outlet.bridge) as lease:
            _book(trace, lease)
            try:
                return await self._exchange(lease, trace, outlet)
            except HungUp:  # the idle connection ended while we wrote: nothing was worked on
                return await self._exchange(lease, trace, outlet, fresh=True)
            except asyncio.CancelledError:  # whoever leaves early has had the engine's work
                if not trace.tokens:
                    _estimate(trace, lease, 0 if self._ask.stream else lease.size.output)
                raise
            finally:
                lease.tokens.update(trace.tokens)

    async def _exchange(
        self, lease: Lease, trace: Trace, outlet: Outlet, fresh: bool = False
    ) -> bytes | None:
        address = lease.engine.snapshot.address
        path, said = self._ask.accent.path, self._ask.body
        if self._ask.steps:
            said = await self._stepped(self._ask.steps(), address, trace, outlet, fresh)
        async with self._asked(address, path, said, trace, outlet, fresh) as connection:
            return await self._answer(connection, lease, trace, outlet)

    async def _stepped(
        self, steps: Steps, address: Address, trace: Trace, outlet: Outlet, fresh: bool
    ) -> bytes:
        """Makes the calls that come before the request, and returns its body."""
        try:
            path, wanted = next(steps)
            while True:
                body = encoded(wanted)
                async with self._asked(address, path, body, trace, outlet, fresh) as connection:
                    said = await self._body(connection)
                    if connection.status != 200:
                        raise engine_said(connection.status, said, path)
                path, wanted = steps.send(answer_of(said))
        except StopIteration as end:
            return encoded(end.value)

    @asynccontextmanager
    async def _asked(
        self,
        address: Address,
        path: str,
        said: bytes,
        trace: Trace,
        outlet: Outlet,
        fresh: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection on which the engine has begun to answer. Raises EngineBroke."""
        async with self._gateway.upstream.exchange(
            address, path, said, trace.engine_id, self._gateway.listen.keepalive_s, fresh
        ) as connection:
            if not await self._head(connection, outlet):
                raise EngineBroke("The engine fell silent.", code="engine_silent")
            yield connection

    async def _head(self, connection: Connection, outlet: Outlet) -> bool:
        """Waits for the engine's status line; False when it stayed away too long.

        That is `idle_s` for a stream. A whole answer has no head before it is done: it may take longer.
        """
        stream = self._ask.stream
        for _ in range(self._patience if stream else self._patience * WHOLE_ANSWER):
            if await connection.head():
                return True
            await outlet.bridge()
        return False

    @property
    def _patient_ticks(self) -> int:
        listen = self._gateway.listen
        return max(1, round(listen.bridge_after_s / listen.keepalive_s))

    @property
    def _patience(self) -> int:
        """How many silent ticks are borne."""
        listen = self._gateway.listen
        return max(1, round(listen.idle_s / listen.keepalive_s))

    async def _answer(
        self, connection: Connection, lease: Lease, trace: Trace, outlet: Outlet
    ) -> bytes | None:
        if connection.status != 200:
            said = await self._body(connection)
            raise engine_said(connection.status, said, self._ask.accent.path)
        kind = connection.headers.get(b"content-type", b"")
        if self._ask.stream and kind.startswith(b"text/event-stream"):
            await self._stream(connection, lease, trace, outlet)
            return None
        if kind.startswith(b"application/json") and not self._ask.stream:
            return await self._whole(connection, trace)
        raise EngineBroke(f"The engine answered with {kind_of(kind)} instead of what was asked.")

    async def _stream(
        self, connection: Connection, lease: Lease, trace: Trace, outlet: Outlet
    ) -> None:
        assert outlet.voice is not None
        tap = Tap(outlet.voice, self._gateway.clock, lease.began)
        try:
            await outlet.start(STREAM_HEADERS)
            await self._pump(connection, tap, outlet)
        finally:
            trace.first_at, trace.last_at, trace.finish = tap.first_at, tap.last_at, tap.finish
            trace.tokens = counted(tap.usage)
            if not trace.tokens and tap.first_at is not None:
                _estimate(trace, lease, tap.pieces)
        if not tap.done:
            raise EngineBroke("The engine ended its stream before it was done.")

    async def _pump(self, connection: Connection, tap: Tap, outlet: Outlet) -> None:
        """Lets the engine's reads flow into the client's socket, and minds what interrupts them."""
        write, feed = outlet.writer.write, tap.feed

        def sink(data: bytes) -> bool:
            try:
                out = feed(data)
            except ODD as error:
                raise odd(error) from error
            room = write(out) if out else True
            if tap.broke:
                raise tap.broke
            return room

        connection.pour(sink)
        silent = 0
        while (outcome := await connection.poured()) is not Poured.DONE:
            silent = silent + 1 if outcome is Poured.SILENT else 0
            if silent >= self._patience:
                raise EngineBroke("The engine fell silent.", code="engine_silent")
            if outcome is Poured.SILENT:
                await outlet.bridge()
            else:
                await outlet.read_on()
                connection.resume()

    async def _whole(self, connection: Connection, trace: Trace) -> bytes:
        told = answer_of(await self._body(connection))
        try:
            trace.tokens = counted(told.get("usage"))
            trace.finish = finish(told)
            answer = self._ask.accent.answer(told)
            text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ODD as error:
            raise odd(error) from error
        return text.encode(errors="replace")

    async def _body(self, connection: Connection) -> bytes:
        parts, size, silent = [], 0, 0
        while (data := await connection.read()) != b"":
            silent = silent + 1 if data is None else 0
            if silent >= self._patience:
                raise EngineBroke("The engine fell silent.", code="engine_silent")
            size += len(data or b"")
            if size > self._gateway.limits.answer_mib << 20:
                raise EngineBroke(f"The answer exceeds {self._gateway.limits.answer_mib} MiB.")
            parts.append(data or b"")
        return b"".join(parts)


def _estimate(trace: Trace, lease: Lease, made: int) -> None:
    """What an answer that ended before its usage came to: an event is about a token."""
    lease.estimated = True
    trace.tokens = {"prompt": lease.size.prompt, "completion": made}


def _book(trace: Trace, lease: Lease) -> None:
    trace.engine, trace.queue_s = lease.engine.snapshot.name, lease.waited_s
    trace.expected_s = lease.expected_s

"""The response that owns its place at the engine: it asks, passes on, and goes elsewhere when it must.

Everything a request holds (place, connection, the watch on its client) hangs on one `async with` in
`Relay.__call__`, so leaving early is a normal path. Before the first byte a failure is an answer in
the client's own error shape; after it, one error event, then the end. An engine that is lost is neither,
while another can do its part.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seekserve.engine.engine import Snapshot, State
from seekserve.engine.vigil import Seen
from seekserve.errors import EngineBroke, EngineFull, EngineLost, NotTakenUp, Refusal, Stopping
from seekserve.gateway.admission import Admission
from seekserve.gateway.ask import Ask, Clock
from seekserve.gateway.caps import NOTHING, Caps
from seekserve.gateway.exchange import Exchange
from seekserve.gateway.kept import Kept, lost
from seekserve.gateway.lease import Broke, Lease
from seekserve.gateway.outlet import ClientGone, Outlet, WhileConnected
from seekserve.gateway.record import CLIENT_GONE, Trace, Try, trace_of
from seekserve.gateway.resume import go_on
from seekserve.gateway.said import ODD, counted, odd
from seekserve.gateway.sizes import Size, Wish
from seekserve.gateway.sse import Tap
from seekserve.gateway.suspects import Suspects
from seekserve.gateway.upstream import Upstream
from seekserve.settings import Limits, Listen

MOST_KEPT = 1 << 20  # bytes asked: the ids of a longer prompt are a burden to every part of the way
MOST_LOST = 2  # engines, in the course of one stream


@dataclass(frozen=True, slots=True)
class Gateway:
    """What every relay shares. `asides` has places of its own, for questions that generate nothing.
    `goes_on` says that streams of a model outlive their engine.
    """

    admission: Admission
    asides: Admission
    upstream: Upstream
    listen: Listen
    limits: Limits
    clock: Clock
    caps: Caps
    suspects: Suspects
    continues: bool = True

    def goes_on(self, ask: Ask) -> bool:
        several = self.continues and self.admission.places.engines(ask.model) > 1
        return several and ask.sequences == 1 and ask.size <= MOST_KEPT and not ask.aside

    def lost(self, engine: Snapshot) -> None:
        """What an engine that does not work holds of ours is let go: a hung one would keep it."""
        if engine.state in (State.STARTING, State.FAILED):
            self.upstream.sever(engine.address)

    def seen(self, engine: Snapshot) -> Seen:
        """What an engine's watch should know."""
        load = self.admission.places.seen(engine.name)
        asides = self.asides.places.seen(engine.name)
        heard_at = self.upstream.heard_at(engine.address)
        return Seen(load.requests + asides.requests, heard_at, load.explained_until)


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
        trace.streams, trace.most = self._ask.stream, self._ask.most // self._ask.sequences
        try:
            self._gateway.suspects.check(self._ask.body)
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

    @property
    def _patient_ticks(self) -> int:
        listen = self._gateway.listen
        return max(1, round(listen.bridge_after_s / listen.keepalive_s))

    async def _run(self, wish: Wish, trace: Trace, outlet: Outlet) -> bytes | None:
        """Streams, or returns the whole answer. What is left to send then waits for a slow client
        without its place at the engine.
        """
        gateway, ask = self._gateway, self._ask
        admission = gateway.asides if ask.aside else gateway.admission
        tap, broke = self._tap(outlet), None
        while True:
            turn = trace.turn(gateway.clock(), _how(broke, tap))
            async with admission.enter(
                wish, gateway.listen.keepalive_s, outlet.bridge, broke
            ) as lease:
                _book(trace, lease)
                turn.placed, turn.engine = gateway.clock(), trace.engine
                try:
                    whole = await self._try(lease, trace, outlet, tap, turn)
                    admission.places.worked(lease.engine)
                    gateway.suspects.clear(ask.body)
                    return whole
                except NotTakenUp:  # no fault of this engine, and no other could do it
                    raise
                except EngineBroke as error:
                    if not isinstance(error, EngineFull):  # which is no fault of an engine
                        admission.places.failed(lease.engine)
                    broke = self._elsewhere(error, lease, trace, tap)
                except Refusal:
                    admission.places.worked(lease.engine)
                    raise

    def _tap(self, outlet: Outlet) -> Tap | None:
        if outlet.voice is None:
            return None
        kept = Kept() if self._gateway.goes_on(self._ask) else None
        return Tap(outlet.voice, self._gateway.clock, kept=kept)

    async def _try(
        self, lease: Lease, trace: Trace, outlet: Outlet, tap: Tap | None, turn: Try
    ) -> bytes | None:
        gateway, ask, before = self._gateway, self._ask, tap.pieces if tap else 0
        context = turn.context.headers() if turn.context else b""
        shared = (gateway.upstream, gateway.listen, gateway.limits)
        exchange = Exchange(*shared, ask, lease, trace, outlet, tap, context)
        try:
            if tap and tap.said:
                try:
                    await go_on(exchange, tap, gateway.clock)
                except ODD as error:
                    raise odd(error) from error
                return None
            if tap:
                tap.restart(lease.began)
            return await exchange.run()
        except Refusal as error:
            if isinstance(error, EngineBroke) and tap and tap.done:  # it said all there was to say
                return None
            turn.failure = error.code or error.type
            raise
        except asyncio.CancelledError:  # whoever leaves early has had the engine's work
            if not (trace.tokens or ask.aside):
                trace.tokens = lease.estimate(tap.pieces if tap else lease.size.output)
            raise
        finally:
            if tap and tap.first_at is not None:
                _read(trace, lease, tap)
            lease.tokens.update(trace.tokens)
            _end(turn, lease, gateway.clock(), tap.pieces - before if tap else 0)

    def _elsewhere(self, error: EngineBroke, lease: Lease, trace: Trace, tap: Tap | None) -> Broke:
        """How the request goes on after this. Raises `error`, or why it cannot."""
        if isinstance(error, EngineLost):
            engine = lease.engine.snapshot
            self._gateway.suspects.add(self._ask.body, (engine.name, engine.restarts))
        if tap and tap.said:
            self._may_go_on(error, tap)
            trace.continued += 1
        elif trace.again or (isinstance(error, EngineFull) and self._alone):
            raise error
        else:
            trace.again += 1
        if trace.continued + trace.again > MOST_LOST:
            raise error
        if tap:
            tap.broke = None
        lease.tokens.clear()
        return Broke(error, lease.engine.snapshot, self._gateway.clock())

    @property
    def _alone(self) -> bool:
        return self._gateway.admission.places.engines(self._ask.model) < 2

    def _may_go_on(self, error: EngineBroke, tap: Tap) -> None:
        if tap.kept is None:
            raise error
        if why := lost(json.loads(tap.kept.asked), tap.kept):
            raise EngineBroke(
                f"The engine was lost in the middle of the answer, which cannot go on: {why}. "
                "Send the request again.",
                code="engine_lost",
            )


def _read(trace: Trace, lease: Lease, tap: Tap) -> None:
    """What a stream has come to so far."""
    trace.first_at, trace.last_at, trace.finish = tap.first_at, tap.last_at, tap.finish
    trace.tokens = counted(tap.usage) or lease.estimate(tap.pieces)


def _how(broke: Broke | None, tap: Tap | None) -> str:
    """What a try is: the first, or one more after an engine broke."""
    if broke is None:
        return "first"
    return "continued" if tap and tap.said else "again"


def _end(turn: Try, lease: Lease, now: float, pieces: int) -> None:
    turn.ended, turn.pieces = now, pieces
    if turn.placed is not None and lease.first_s is not None:
        turn.began = turn.placed + lease.first_s


def _book(trace: Trace, lease: Lease) -> None:
    trace.engine = lease.engine.snapshot.name
    if trace.queue_s is None:
        trace.queue_s, trace.expected_s = lease.waited_s, lease.expected_s

"""The queue in front of the engines: bounded, first come first served, with a deadline.

`enter` is the only way in. Inside its `async with` a request holds one place at one engine; leaving
by any road (done, refused, cancelled while it waited) frees the place in the same tick, and the next
in line gets it. Nobody else writes the queue or the count of places taken.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from seekserve.engine.engine import Engine, Snapshot, State
from seekserve.engine.fleet import Fleet
from seekserve.errors import EngineNotReady, QueueFull
from seekserve.gateway import balance
from seekserve.gateway.ask import Clock
from seekserve.metrics import Reading
from seekserve.settings import Limits

STARTING_RETRY_S = 10.0
SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Lease:
    """A place at an engine, held while the `async with` that gave it is open."""

    engine: Engine
    waited_s: float


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """One who waits: its number in the order of arrival, and the place it is to get."""

    number: int
    place: asyncio.Future[Engine]


class Admission:
    def __init__(self, fleet: Fleet, limits: Limits, clock: Clock) -> None:
        self._fleet, self._limits, self._clock = fleet, limits, clock
        self._waiting: dict[str, collections.deque[Turn]] = {}
        self._numbers = itertools.count()
        self._running: collections.Counter[str] = collections.Counter()
        self._service_s = 1.0
        fleet.listen(self._changed)

    def __repr__(self) -> str:
        return f"<Admission {sum(self._running.values())} running, {self.queued} queued>"

    @property
    def queued(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    def gauges(self) -> list[Reading]:
        lines = [((model,), float(len(line))) for model, line in self._waiting.items()]
        held = [((name,), float(count)) for name, count in self._running.items()]
        return [
            ("queue_depth", "Requests waiting here for a place at an engine.", ("model",), lines),
            ("places_taken", "Requests an engine is working on for us.", ("engine",), held),
        ]

    @asynccontextmanager
    async def enter(
        self, model: str, tick_s: float, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Lease]:
        """Waits in turn for a place. `tick` is awaited every `tick_s` seconds of waiting.

        Raises EngineNotReady when no engine could answer, QueueFull when the line is full or the
        deadline passes.
        """
        arrived = self._clock()
        engine = self._place(model) or await self._wait(model, tick_s, tick)
        entered = self._clock()
        try:
            yield Lease(engine, entered - arrived)
        finally:
            self._service_s += SMOOTHING * (self._clock() - entered - self._service_s)
            self._leave(engine)

    def _place(self, model: str) -> Engine | None:
        """A free place right now, unless others wait for one already."""
        self._answerable(model)
        return None if self._waiting.get(model) else self._take(model)

    def _take(self, model: str) -> Engine | None:
        engines = self._fleet.serving(model)
        engine = balance.least_busy(engines, self._running, self._limits.running)
        if engine:
            self._running[engine.snapshot.name] += 1
        return engine

    def _leave(self, engine: Engine) -> None:
        self._running[engine.snapshot.name] -= 1
        self._assign()

    def _assign(self) -> None:
        """Matches free places with those who wait, in the order they came, whatever their model.

        Every change of either ends here.
        """
        while self._first_place():
            pass

    def _first_place(self) -> bool:
        """Places the one who waits longest of those there is a place for; False when there is none."""
        lines = [(line[0].number, model) for model, line in self._waiting.items() if line]
        for _, model in sorted(lines):
            if engine := self._take(model):
                self._waiting[model].popleft().place.set_result(engine)
                return True
        return False

    def _changed(self, _: Snapshot) -> None:
        self._assign()
        for model, line in self._waiting.items():
            snapshots = [engine.snapshot for engine in self._fleet.serving(model)]
            if all(s.state is State.FAILED for s in snapshots):
                while line:
                    line.popleft().place.set_exception(not_ready(snapshots))

    def _answerable(self, model: str) -> None:
        snapshots = [engine.snapshot for engine in self._fleet.serving(model)]
        if not any(s.state is State.READY for s in snapshots):
            raise not_ready(snapshots)

    async def _wait(
        self, model: str, tick_s: float, tick: Callable[[], Awaitable[None]] | None
    ) -> Engine:
        if self.queued >= self._limits.queued:
            raise self._full(f"{self.queued} requests already wait, which is as many as may")
        line = self._waiting.setdefault(model, collections.deque())
        turn = Turn(next(self._numbers), asyncio.get_running_loop().create_future())
        line.append(turn)
        try:
            return await self._turn(turn.place, tick_s, tick)
        except BaseException:
            if turn in line:
                line.remove(turn)
            elif not turn.place.exception():
                self._leave(turn.place.result())  # the place came in the tick in which we left
            raise

    async def _turn(
        self,
        turn: asyncio.Future[Engine],
        tick_s: float,
        tick: Callable[[], Awaitable[None]] | None,
    ) -> Engine:
        deadline = self._clock() + self._limits.wait_s
        while (left := deadline - self._clock()) > 0:
            await asyncio.wait([turn], timeout=min(left, tick_s))
            if turn.done():
                return turn.result()
            if tick:
                await tick()
        raise self._full(f"no place came free within {self._limits.wait_s:.0f} s")

    def _full(self, what: str) -> QueueFull:
        wait_s = self._expected_wait_s()
        return QueueFull(
            f"The house is full: {what}. Expected wait now: {wait_s:.0f} s. "
            "Try again after Retry-After seconds.",
            retry_after_s=wait_s,
        )

    def _expected_wait_s(self) -> float:
        places = self._limits.running * max(1, sum(e.ready for e in self._fleet.engines))
        return self._service_s * (self.queued + 1) / places


def not_ready(snapshots: list[Snapshot]) -> EngineNotReady:
    """A refusal that says what the engines are doing instead of answering."""
    if not snapshots or all(s.state is State.FAILED for s in snapshots):
        return EngineNotReady(
            "The engine has failed and will not be started again by itself. "
            "The server's own output says why.",
            code="engine_failed",
            retry_after_s=60,
        )
    best = max(snapshots, key=lambda s: s.state is State.STARTING)
    share = f" ({best.share:.0%})" if best.share is not None else ""
    return EngineNotReady(
        f"The engine is {best.state.value}; stage: {best.stage or best.state.value}{share}. "
        "Try again after Retry-After seconds, or watch /health/ready.",
        code="engine_starting" if best.state is State.STARTING else None,
        retry_after_s=STARTING_RETRY_S,
    )

"""One who waits, and the place it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from seekserve.engine.engine import Engine, Snapshot
from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Clock
from seekserve.gateway.balance import marks
from seekserve.gateway.load import Load
from seekserve.gateway.sizes import Size, Wish

Tick = Callable[[], Awaitable[None]]


def _nobody() -> None:
    pass


def _untold(first_s: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Broke:
    """How an engine failed a request that may go elsewhere: what it was then, and when."""

    error: EngineBroke
    engine: Snapshot
    at: float


@dataclass(eq=False, slots=True)
class Turn:
    """One who waits `patience_s` at most, for the place it is to get. Numbered as they came.

    When it came its wait was expected to be `expected_s`, and a place to free every `each_s`. It stands
    in front of its line since `first_since`. `broke` is how its engine failed it, where one has.
    """

    number: int
    wish: Wish
    size: Size
    arrived: float
    place: asyncio.Future[Lease]
    patience_s: float = 0.0
    expected_s: float = 0.0
    each_s: float = 0.0
    gone: bool = False
    waits: bool = False
    first_since: float | None = None
    broke: Broke | None = None
    _marks: tuple[bytes, ...] | None = None

    @property
    def marks(self) -> tuple[bytes, ...]:
        if self._marks is None:
            self._marks = marks(self.wish.prompt, self.wish.key)
        return self._marks

    async def placed(self, clock: Clock, tick_s: float, tick: Tick | None) -> bool:
        """Waits for its place, and awaits `tick` now and then; False when its patience runs out first."""
        deadline = self.arrived + self.patience_s
        while not self.place.done() and (left := deadline - clock()) > 0:
            await asyncio.wait([self.place], timeout=min(left, tick_s))
            if (
                not self.place.done() and tick and left > tick_s
            ):  # not at the end: a refusal follows
                await tick()
        return self.place.done()

    def shuns(self, engine: Engine) -> bool:
        """Whether the engine is as it was when it failed this request."""
        if self.broke is None:
            return False
        then, now = self.broke.engine, engine.snapshot
        return (then.name, then.since) == (now.name, now.since)

    @property
    def key(self) -> str:
        return self.wish.key

    @property
    def key_class(self) -> str:
        return self.wish.key_class

    @property
    def cost(self) -> int:
        return self.size.cost


@dataclass(eq=False, slots=True)
class Lease:
    """A place at an engine, held while the `async with` that gave it is open.

    Tell it `began` when the first token comes, which is `first_s` after it was sent, and put the engine's
    counts into `tokens`. `told` hears how long that was since it came.
    """

    engine: Engine
    wish: Wish
    size: Size
    load: Load
    arrived: float
    sent_at: float
    unread: int
    clock: Clock
    expected_s: float = 0.0
    tokens: dict[str, int] = field(default_factory=dict)
    reading: bool = True
    eased: Callable[[], None] = _nobody
    told: Callable[[float], None] = _untold
    estimated: bool = False
    spoken: bool = False
    first_s: float | None = None

    @property
    def waited_s(self) -> float:
        return self.sent_at - self.arrived

    def estimate(self, made: int) -> dict[str, int]:
        """What an answer that ended before its usage came to: an event is about a token."""
        self.estimated = True
        return {"prompt": self.size.prompt, "completion": made}

    def began(self) -> None:
        """Its prompt is read, and what was before it: `eased` hears that others may follow."""
        self.first_s = self.clock() - self.sent_at
        self.load.learn(self.unread, self.first_s)
        self.lapsed()
        self.spoke()
        self.eased()
        self.told(self.waited_s + self.first_s)

    def spoke(self) -> None:
        """Once: what it was given no longer explains a silence."""
        if not self.spoken:
            self.spoken = True
            self.load.spoke(self.size)

    def lapsed(self) -> None:
        if self.reading:
            self.reading = False
            self.load.read(self.size)

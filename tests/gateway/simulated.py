"""An hour in a second: an event loop whose time jumps, and an engine made of two speeds.

The admission under test is ours, whole; only what it waits for is simulated.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import selectors
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from seekserve.engine.address import Address
from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import ModelCard
from seekserve.errors import Refusal
from seekserve.gateway.admission import Admission
from seekserve.gateway.sizes import Wish
from seekserve.log import Log
from seekserve.settings import Limits, Tenancy

CLASSES = {
    "enterprise": Tenancy(share=0.6, max_wait_s=60, ttft_target_s=5),
    "public": Tenancy(share=0.3, max_wait_s=30, ttft_target_s=10),
    "batch": Tenancy(share=0.1, max_wait_s=600, ttft_target_s=300, queued=20_000),
}


class _Jumping(selectors.SelectSelector):
    """Where others would sleep, time moves."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        self.now += 0.0 if found else max(0.0, timeout or 0.0)
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)


@dataclass
class Gpu:
    """Prompts are read one after another, `read_per_s` tokens a second; up to `seats` sequences make a
    token each per step, and steps take longer the more there are.
    """

    read_per_s: float = 20_000.0
    step_s: float = 0.01
    per_seat_s: float = 0.0005
    seats: int = 32
    running: int = 0
    _reading: bool = False
    _unread: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _free: asyncio.Semaphore | None = None

    async def prefill(self, prompt: int, priority: int) -> None:
        """The most urgent first, as `--scheduling-policy priority` has it; what is begun is finished."""
        self._free = self._free or asyncio.Semaphore(self.seats)
        await self._free.acquire()
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._unread, (priority, next(self._numbers), turn))
        if not self._reading:
            self._next()
        try:
            await turn
            await asyncio.sleep(prompt / self.read_per_s)
        except asyncio.CancelledError:
            self._free.release()
            raise
        finally:
            if turn.done() and not turn.cancelled():
                self._next()

    def _next(self) -> None:
        waiting = [one for one in self._unread if not one[2].done()]
        heapq.heapify(waiting)
        self._reading, self._unread = bool(waiting), waiting
        if waiting:
            heapq.heappop(waiting)[2].set_result(None)

    async def decode(self, output: int) -> None:
        assert self._free
        self.running += 1
        try:
            for _ in range(0, output, 8):
                await asyncio.sleep(8 * (self.step_s + self.per_seat_s * self.running))
        finally:
            self.running -= 1
            self._free.release()


@dataclass
class Seen:
    """What became of the requests of one key."""

    ttft: list[float] = field(default_factory=list)
    expected: list[tuple[float, float]] = field(default_factory=list)
    refused_after: list[float] = field(default_factory=list)
    tokens: int = 0

    @property
    def refused(self) -> int:
        return len(self.refused_after)


class House:
    """Clients that do not wait for one another, an admission (or none), one engine."""

    def __init__(self, seats: int = 32, guarded: bool = True, gpu: Gpu | None = None) -> None:
        card = ModelCard("m")
        engine = Engine("e", Address(path="/e"), (card,), Log("text", lambda line: None))
        self.gpu = gpu or Gpu(seats=seats)
        self.guarded = guarded
        limits = Limits(running=self.gpu.seats, queued=50_000, wait_s=1000)
        loop = asyncio.get_running_loop()
        self.admission = Admission(Fleet([engine]), limits, loop.time, CLASSES, "public")
        engine._become(State.READY)
        self.seen: dict[str, Seen] = defaultdict(Seen)
        self.dice = random.Random(7)

    async def request(self, key: str, key_class: str, prompt: int, output: int) -> None:
        loop, seen = asyncio.get_running_loop(), self.seen[key]
        arrived = loop.time()
        if not self.guarded:
            await self.gpu.prefill(prompt, 0)
            seen.ttft.append(loop.time() - arrived)
            await self.gpu.decode(output)
            return
        wish = Wish("m", key, key_class, prompt * 4, output * 4)
        try:
            async with self.admission.enter(wish, 15) as lease:
                await self.gpu.prefill(prompt, list(CLASSES).index(key_class))
                lease.began()
                seen.ttft.append(loop.time() - arrived)
                seen.expected.append((lease.expected_s, lease.waited_s))
                await self.gpu.decode(output)
                lease.tokens.update(prompt=prompt, completion=output)
                seen.tokens += prompt + output
        except Refusal:
            seen.refused_after.append(loop.time() - arrived)

    async def flood(
        self, key: str, key_class: str, per_s: float, until_s: float, output: int = 200
    ) -> None:
        """Poisson arrivals of short and long prompts."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while loop.time() < until_s:
                await asyncio.sleep(self.dice.expovariate(per_s))
                prompt = self.dice.choice((100, 200, 400, 4000))
                made = max(1, int(self.dice.gauss(output, output / 4)))
                tasks.create_task(self.request(key, key_class, prompt, made))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]

"""Clients that wait for nobody (`flood`), or for their own answer alone (`lanes`).

One event loop for all. What it costs is measured along the way: a `Lagged` run has no figures, for its
clients were busier than what they measured.
"""

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench.client import Client
from tests.bench.measure import percentile

from .figures import BROKEN, Seen
from .trace import Arrival, Mix, body

MOST_LAG_S: Final = 0.020
_BEAT_S: Final = 0.005
_USED: Final = re.compile(rb'"completion_tokens": ?(\d+)')


class Lagged(Exception):
    """The clients' own event loop was too late to measure with."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to ask for a model: HOST:PORT or unix:PATH; and the bearer token of each key."""

    where: str
    model: str
    bearers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """What was seen, and the p99 of how late the clients' loop was (seconds)."""

    seen: list[Seen]
    lag_s: float = 0.0


class Caller(Client):
    """A client that also remembers when to come back."""

    def __init__(self) -> None:
        super().__init__()
        self.retry_after = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value.decode("latin-1")


class Clients:
    """Connections to one address, kept alive between requests."""

    def __init__(self, address: Address, mix: Mix) -> None:
        self._address, self._mix = address, mix
        self._idle: list[Caller] = []
        self._began = 0.0
        self.seen: list[Seen] = []

    async def flood(self, trace: Sequence[Arrival], grace_s: float) -> Run:
        """Sends everything when it is due, and gives the last ones `grace_s` to be answered."""
        self._began = time.perf_counter()
        asking = set()
        async with _watched() as lags:
            for one in trace:
                if (left := one.at - self._now()) > 0:
                    await asyncio.sleep(left)
                asking.add(task := asyncio.create_task(self._ask(one)))
                task.add_done_callback(asking.discard)
            await self._over(asking, max(0.0, trace[-1].at + grace_s - self._now()))
        return self._run(lags)

    async def lanes(self, arrivals: Iterator[Arrival], count: int, seconds: float) -> Run:
        """So many at a time, each sending its next when its last is answered."""
        self._began = time.perf_counter()
        async with _watched() as lags:
            lanes = {asyncio.create_task(self._lane(arrivals)) for _ in range(count)}
            await self._over(lanes, seconds)
        return self._run(lags)

    async def _lane(self, arrivals: Iterator[Arrival]) -> None:
        for one in arrivals:
            now = Arrival(self._now(), one.key, one.prompt, one.output)
            if (await self._ask(now)).status != 200:
                await asyncio.sleep(0.05)

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def _over(self, asking: Collection[asyncio.Task[Any]], left_s: float) -> None:
        if asking:
            await asyncio.wait(asking, timeout=left_s)
        late = list(asking)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for caller in self._idle:
            caller.close()

    def _run(self, lags: list[float]) -> Run:
        lag_s = percentile(lags, 0.99)
        if lag_s > MOST_LAG_S:
            raise Lagged(f"the clients' loop was {lag_s * 1e3:.0f} ms late (p99)")
        return Run(self.seen, lag_s)

    async def _ask(self, one: Arrival) -> Seen:
        seen = Seen(one.at, one.key, one.prompt, one.output)
        self.seen.append(seen)
        request = self._request(one)
        caller = await self._caller()
        try:
            said = await caller.stream(request)
        except asyncio.CancelledError:
            caller.close()
            raise
        finally:
            seen.status = caller.status
            if caller.first_at:
                seen.first_s = caller.first_at - self._began - one.at
        seen.ended_s = self._now() - one.at
        self._ended(seen, caller, said)
        return seen

    async def _caller(self) -> Caller:
        while self._idle:
            if not (caller := self._idle.pop()).lost:
                return caller
        loop, where = asyncio.get_running_loop(), self._address.where
        if where.startswith("unix:"):
            return (await loop.create_unix_connection(Caller, where.removeprefix("unix:")))[1]
        host, _, port = where.rpartition(":")
        return (await loop.create_connection(Caller, host, int(port)))[1]

    def _ended(self, seen: Seen, caller: Caller, said: bytes) -> None:
        if count := _USED.search(said, max(0, len(said) - 1024)):
            seen.tokens = int(count[1])
        seen.retry_after, caller.retry_after = caller.retry_after, ""
        if seen.status == 200 and not said.endswith(b"data: [DONE]\n\n"):
            seen.status = 503 if b'"queue_full"' in said[-512:] and not caller.first_at else BROKEN
        if not caller.lost:
            self._idle.append(caller)

    def _request(self, one: Arrival) -> bytes:
        address = self._address
        data = body(one, len(self.seen), address.model, self._mix)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {address.bearers.get(one.key, 'none')}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


@asynccontextmanager
async def _watched() -> AsyncIterator[list[float]]:
    """How late the loop was, beat by beat; without the collector's pauses."""
    lags: list[float] = []
    beat = asyncio.create_task(_beat(lags))
    gc.collect()
    gc.disable()
    try:
        yield lags
    finally:
        gc.enable()
        beat.cancel()


async def _beat(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _BEAT_S
        await asyncio.sleep(_BEAT_S)
        lags.append(loop.time() - due)

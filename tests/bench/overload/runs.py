"""One trace sent to one contestant: started, flooded, watched, stopped. And what an engine can do at all."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from . import figures
from .clients import Address, Clients, Lagged, Run
from .figures import Seen
from .stand import Engine, House, Stand, engine, flags, house
from .trace import Arrival, Mix, endless

MOST_LATE: Final = 0.05  # of an engine's steps: beyond, this machine was too slow to play its part
GRACE_S: Final = 0.5  # beyond the target: whoever has no first token by then has missed it


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds that each thing is watched for; `settle_s` go before, until an engine is full."""

    capacity: float = 12.0
    overload: float = 30.0
    quiet: float = 25.0
    isolation: float = 25.0
    shares: float = 60.0
    keys: float = 30.0
    settle: float = 9.0
    drain: float = 10.0


FULL: Final = Spans()
REAL_SPANS: Final = Spans(8, 20, 12, 45, 0, 0, 3, 8)
QUICK: Final = Spans(2, 3, 3, 3, 4, 3, 2, 2)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an engine does with as many at once as it takes: requests and prompt tokens a second."""

    per_s: float
    read_per_s: float


@dataclass(frozen=True, slots=True)
class Bench:
    """One engine kind, the sizes sent to it, for how long, and what it can do."""

    stand: Stand
    mix: Mix
    spans: Spans
    capacity: Capacity
    say: Callable[[str], None]

    @property
    def target_s(self) -> float:
        return self.stand.kind.target_s


async def measure_capacity(
    stand: Stand, mix: Mix, spans: Spans, sequences: int = 0, bearer: str = "public"
) -> Capacity:
    """As many lanes as the engine has places, each with its next request at once; the engine alone."""
    lanes = sequences or stand.kind.sequences
    async with engine(stand, sequences=sequences) as one:
        arrivals = endless(mix, bearer, lanes)
        seconds = spans.settle + spans.capacity
        run = await Clients(one.address, mix).lanes(arrivals, lanes, seconds)
    ended = [
        one
        for one in run.seen
        if one.ended_s is not None and spans.settle <= one.at + one.ended_s < seconds
    ]
    read = sum(one.prompt for one in ended)
    return Capacity(len(ended) / spans.capacity, read / spans.capacity)


async def _flood(address: Address, bench: Bench, trace: Sequence[Arrival], grace_s: float) -> Run:
    return await Clients(address, bench.mix).flood(trace, grace_s)


async def alone(bench: Bench, trace: Sequence[Arrival], grace_s: float, **caps: int) -> list[Seen]:
    """(a), or with caps (b)."""
    async with engine(bench.stand, *flags(**caps)) as one:
        run = await _flood(one.address, bench, trace, grace_s)
        late = await _late_steps(one)
    bench.say(f"engine {caps or 'alone'}: {_summed(run, bench.target_s, late)}")
    return run.seen


@asynccontextmanager
async def _guarded(bench: Bench, sequences: int = 0) -> AsyncIterator[tuple[House, Engine]]:
    """(c)."""
    async with (
        engine(bench.stand, sequences=sequences) as one,
        house(bench.stand, one, sequences) as ours,
    ):
        yield ours, one


async def _late_steps(engine: Engine) -> float:
    """Share of its steps that the fake engine was late with; none of a real one, which keeps no time.

    Raises Lagged when that is too much.
    """
    transport = httpx.AsyncHTTPTransport(uds=str(engine.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        page = (await client.get("/metrics", timeout=10)).text
    found = dict(re.findall(r"^bench:(late_steps|steps) ([\d.]+)", page, re.MULTILINE))
    late = float(found.get("late_steps", 0)) / max(1.0, float(found.get("steps", 1)))
    if late > MOST_LATE:
        raise Lagged(f"the engine was late with {late:.0%} of its steps")
    return late


async def through(
    bench: Bench, trace: Sequence[Arrival], grace_s: float, sequences: int = 0
) -> tuple[list[Seen], list[tuple[float, float]]]:
    """What (c) made of a trace, and how its estimates came true."""
    async with _guarded(bench, sequences) as (ours, one):
        run = await _flood(ours.address, bench, trace, grace_s)
        waits, late = ours.waits(), await _late_steps(one)
    bench.say(f"seekserve: {_summed(run, bench.target_s, late)}")
    return run.seen, waits


def _summed(run: Run, target_s: float, late: float) -> str:
    seen = run.seen
    codes = {code: sum(one.status == code for one in seen) for code in {o.status for o in seen}}
    return (
        f"{len(seen)} sent, by status {codes}, {figures.met(seen, target_s)} in time, first token "
        f"p50 {figures.first_s(seen, 0.5):.3f} p99 {figures.first_s(seen, 0.99):.3f} s, "
        f"clients {run.lag_s * 1e3:.1f} ms late, the engine with {late:.1%} of its steps"
    )

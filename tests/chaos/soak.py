"""An hour at 50 requests a second on the fake engine: memory and descriptors, sampled and drawn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import uvloop
from rich.console import Console

from tests.chaos.asks import Ask, Dialect, Question
from tests.chaos.load import Load
from tests.chaos.served import descriptors, resident_mib
from tests.chaos.stage import Stage, stage

RATE = 50.0
LANES = 48
EVERY_S = 10.0
SETTLED_S = 300.0
SPAN_S = 60.0
"""Growth is between the median of the minute after `SETTLED_S` and that of the last."""
GROWTH_BAR = 0.03
FLAT = 2
"""Descriptors: so many more or fewer are one connection's coming and going."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Soak:
    minutes: float
    at: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    open: list[float] = field(default_factory=list)
    asked: int = 0
    failed: int = 0

    def span(self, values: Sequence[float], start: float) -> float:
        """The median of the samples of one minute."""
        some = sorted(
            v for at, v in zip(self.at, values, strict=True) if start <= at < start + SPAN_S
        )
        return some[len(some) // 2]

    @property
    def settled_s(self) -> float:
        """A soak shorter than ten minutes settles in half its time."""
        return min(SETTLED_S, self.minutes * 30)

    @property
    def last_s(self) -> float:
        return max(self.settled_s, self.at[-1] - SPAN_S)

    @property
    def growth(self) -> float:
        return self.span(self.mib, self.last_s) / self.span(self.mib, self.settled_s) - 1

    @property
    def more_open(self) -> float:
        return self.span(self.open, self.last_s) - self.span(self.open, self.settled_s)

    @property
    def holds(self) -> bool:
        return self.growth <= GROWTH_BAR and abs(self.more_open) <= FLAT and not self.failed


def asks() -> list[Ask]:
    """Streams of twenty tokens, and short whole answers."""
    streamed = Question(0, "fault:slow interval=0.01 tokens=20", "w19")
    whole = Question(1, "fault:slow interval=0.005 tokens=4", "w3")
    chat: Sequence[Dialect] = ("chat", "completions", "responses", "messages")
    return [Ask(d, q is streamed, True, q) for d in chat for q in (streamed, whole)]


async def soak(minutes: float, console: Console) -> Soak:
    async with stage("fake") as at:
        found, load = Soak(minutes), at.load()
        load.asks = asks()
        began = time.monotonic()
        work = asyncio.create_task(_paced(load, began, minutes * 60, found))
        while not work.done():
            _sample(found, at, time.monotonic() - began)
            if len(found.at) % 30 == 0:
                console.print(
                    f"{found.at[-1]:6.0f} s: {found.mib[-1]:.1f} MiB, {found.open[-1]:.0f} open"
                )
            await asyncio.wait([work], timeout=EVERY_S)
        await work
        return found


def _sample(found: Soak, at: Stage, now: float) -> None:
    found.at.append(now)
    found.mib.append(resident_mib(at.served.pid))
    found.open.append(descriptors(at.served.pid))


async def _paced(load: Load, began: float, seconds: float, found: Soak) -> None:
    """So many lanes that each asks at its own moments of one steady clock."""

    async def lane(number: int) -> None:
        line, chance, count = None, Random(number), number
        key_class = sorted(load.keys)[number % len(load.keys)]
        while (due := count / RATE) < seconds:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            ask = chance.choice(load.asks)
            record, line = await load.one(f"soak-{count}", ask, key_class, line)
            found.asked += 1
            found.failed += record.outcome.way != "answered"
            count += LANES
        if line:
            line.close()

    await asyncio.gather(*(lane(number) for number in range(LANES)))


def drawn(values: Sequence[float], width: int = 60) -> str:
    """A line of bars, from the least to the most."""
    low, high = min(values), max(values)
    step = max(1, -(-len(values) // width))
    some = [max(values[n : n + step]) for n in range(0, len(values), step)]
    return "".join(BARS[round((v - low) / (high - low or 1) * (len(BARS) - 1))] for v in some)


def soaked(console: Console, minutes: float) -> bool:
    found: Soak = uvloop.run(soak(minutes, console))
    rate = found.asked / (minutes * 60)
    console.print(f"{found.asked} requests, {rate:.1f} a second, {found.failed} not answered")
    for name, values in (("resident MiB", found.mib), ("descriptors", found.open)):
        console.print(f"{name:<13} {min(values):7.1f} {drawn(values)} {max(values):.1f}")
    since = f"after the first {found.settled_s:.0f} s"
    console.print(f"memory {since}: {found.growth:+.2%} (bar {GROWTH_BAR:+.0%})")
    console.print(f"descriptors {since}: {found.more_open:+.0f} (bar: flat, {FLAT} either way)")
    console.print("holds" if found.holds else "MISSED")
    return found.holds

"""The single figures, each on two real engines: `python -m tests.chaos figures [--only NAME ...]`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.chaos import engines
from tests.chaos.asks import Ask, sums_and_counts
from tests.chaos.load import Load
from tests.chaos.records import Record
from tests.chaos.stage import DRAIN_S, Stage, stage

FENCE_BAR_S = 15.0
PAUSE_BAR_S = 2.0
BACK_BAR_S = 3.0
MOMENT_S = 0.25
SPEAK = 24
"""Streams of 32 that have begun to speak, before an engine is killed."""
CONTINUED = 8
"""Of the sixteen or so it had: else it was killed too early or too late to show anything."""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    bar: str
    found: str
    holds: bool


def streams(thinking: bool, count: int = 32) -> list[Ask]:
    """Greedy chat streams, no two alike, of some sixty tokens or more: a sum without thinking has three."""
    return [Ask("chat", True, thinking, one) for one in sums_and_counts(count)[count:]]


def share(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 1).__int__() - 1)] if ordered else 0.0


def pause_s(record: Record) -> float:
    gaps = [b - a for a, b in zip(record.moments, record.moments[1:], strict=False)]
    return max(gaps, default=0.0)


async def killed(at: Stage, thinking: bool) -> list[Figure]:
    """32 streams, and one of the engines they run on is killed in the middle."""
    asks, load = streams(thinking), at.load()
    await load.once(asks, 32)
    whole = await load.once(asks, 32)
    before = await _moved(at)
    task = asyncio.create_task(load.once(asks, 32))
    await _under_way(load, task)
    engines.strike(at.served.pid, 0, "kill-leader")
    broken = await task
    again, on = (b - a for a, b in zip(before, await _moved(at), strict=True))
    pairs = [(a.outcome, b.outcome) for a, b in zip(whole, broken, strict=True)]
    for record, (a, b) in zip(broken, pairs, strict=True):
        if b.way != "answered" or (a.text, a.usage) != (b.text, b.usage):
            print(f"  {record.id}: {b.way} {b.why}, tokens {a.usage}/ {b.usage}")
    ends = sum(b.way == "answered" for _, b in pairs)
    same = sum(a.text == b.text for a, b in pairs)
    counted = sum(a.usage == b.usage for a, b in pairs)
    pauses = [pause_s(record) for record in broken]
    p95, usual = share(pauses, 0.95), share([pause_s(record) for record in whole], 0.95)
    mode = f"thinking {'on' if thinking else 'off'}: {on:.0f} continued, {again:.0f} begun again"
    enough = on >= CONTINUED
    bar, paused = f"<= {PAUSE_BAR_S:.0f} s", f"{p95:.2f} s (unbroken: {usual:.2f})"
    return [
        Figure(f"kill -9, 32 streams, {mode}; ended normally", "32", f"{ends}", ends == 32 and enough),
        Figure("  text, usage as unbroken", "32, 32", f"{same}, {counted}", same == counted == 32),
        Figure("  pause p95", bar, paused, p95 <= PAUSE_BAR_S),
    ]  # fmt: skip


async def _under_way(load: Load, of: asyncio.Task[list[Record]]) -> None:
    """A good part of them have said something, and go on."""
    while not of.done() and sum(bool(heard.moments) for heard in load.coming) < SPEAK:
        await asyncio.sleep(0.002)


async def _moved(at: Stage) -> tuple[float, float]:
    """How many requests went elsewhere so far: begun again, continued."""
    found = await at.served.figures()
    name = "seekserve_failovers_total"
    again, on = (
        sum(v for k, v in found.items() if k.startswith(name) and f"how={how}" in k)
        for how in ("again", "continued")
    )
    return again, on


async def kills(at: Stage) -> list[Figure]:
    figures = []
    for thinking in (True, False):
        figures += await killed(at, thinking)
        await at.served.all_ready()
    return figures


async def back(at: Stage) -> list[Figure]:
    """A crash of an engine to its being ready again, against what that same start took."""
    struck = time.monotonic()
    engines.strike(at.served.pid, 1, "kill-leader")
    ready = await at.served.heard(struck, "engine", 240, name="engine-1", state="ready")
    assert ready is not None, at.served.words()
    start_s, back_s = await at.served.stage_s("engine-1"), ready.at - struck
    told = f"{back_s:.1f} s, of which its start {start_s:.1f}"
    bar = f"start + {BACK_BAR_S:.0f} s"
    return [
        Figure("crash to ready again", bar, told, start_s > 0 and back_s <= start_s + BACK_BAR_S)
    ]


async def fences(at: Stage, times: int = 3) -> list[Figure]:
    """A worker is stopped while its API process answers /health: how long until nobody is sent there."""
    found = []
    for number in range(times):
        load = at.load(number)
        load.asks = [Ask("chat", True, True, q) for q in sums_and_counts(12)]
        task = asyncio.create_task(load.run(16))
        await asyncio.sleep(4)
        struck = time.monotonic()
        engines.strike(at.served.pid, number % 2, "stop-worker")
        name = f"engine-{number % 2}"
        said = await at.served.heard(struck, "engine", 90, name=name, state="starting")
        load.over = True
        await task
        assert said is not None, at.served.words()
        last = last_token(load.records, struck, said.at)
        found.append(said.at - (last or struck))
        lost = [record for record in load.records if record.outcome.way != "answered"]
        print(f"  {name}: {found[-1]:.1f} s, {len(load.records)} asked, {len(lost)} not answered")
        print(
            "".join(
                f"    {r.id} {r.ask.name} {r.outcome.way} {r.outcome.why} {r.outcome.told}\n"
                for r in lost
            ),
            end="",
        )
        await at.served.all_ready()
    told = ", ".join(f"{seconds:.1f}" for seconds in found)
    name, bar = "hung engine fenced after its last token", f"<= {FENCE_BAR_S:.0f} s"
    return [Figure(name, bar, f"{told} s", max(found) <= FENCE_BAR_S)]


def last_token(records: Sequence[Record], struck: float, fenced: float) -> float | None:
    """When a stream that fell silent before the fence, and spoke only after it, had said its last."""
    spans = [span for record in records if (span := record.silence_at(fenced))]
    silent = [start for start, end in spans if start <= struck + 0.5 and end >= fenced]
    return max(silent, default=None)


async def rolled(at: Stage) -> list[Figure]:
    """Both engines started anew, one after the other, while they are asked."""
    load = at.load(7)
    task = asyncio.create_task(load.run(12))
    await asyncio.sleep(3)
    began = time.monotonic()
    told = await at.served.ops.post("/reload?engines=1", timeout=300)
    took_s = time.monotonic() - began
    await asyncio.sleep(3)
    load.over = True
    await task
    return [
        _none_failed(
            "rolling restart of both", load.records, f"{took_s:.0f} s", told.status_code == 200
        )
    ]


async def stopped(at: Stage) -> list[Figure]:
    """SIGTERM while it is asked: what came before has its answer, what comes after a reason."""
    load = at.load(8)
    task = asyncio.create_task(load.run(12))
    await asyncio.sleep(4)
    struck = time.monotonic()
    stopping = asyncio.create_task(at.served.stop(within_s=DRAIN_S + 30))
    await asyncio.sleep(1.0)
    load.over = True
    await task
    code = await stopping
    before = [
        record for record in load.records if record.sent < struck and not _crossed(record, struck)
    ]
    running = sum(record.ended > struck for record in before)
    refused = sum(record.outcome.why == "503 server_stopping" for record in load.records)
    note = f"{running} ran, {refused} told to come back, exit {code}"
    return [_none_failed("SIGTERM under load", before, note, code == 0)]


def _crossed(record: Record, struck: float) -> bool:
    """Sent in the signal's own moment, it may be among the first that are told to come back."""
    return record.outcome.why == "503 server_stopping" and struck - record.sent < MOMENT_S


def _none_failed(name: str, records: Sequence[Record], note: str, well: bool) -> Figure:
    failed = [record for record in records if record.outcome.way != "answered"]
    for record in failed:
        print(f"  {record.id} {record.ask.name}: {record.outcome.way} {record.outcome.why}")
    told = f"{len(failed)} of {len(records)} ({note})"
    return Figure(f"{name}: failed requests", "0", told, well and not failed and bool(records))


Measure = Callable[[Stage], Awaitable[list[Figure]]]
MEASURES: dict[str, Measure] = {
    "kill": kills,
    "back": back,
    "fence": fences,
    "rolling": rolled,
    "stop": stopped,
}
"""The last one ends the server."""


async def measured(only: Sequence[str]) -> list[Figure]:
    figures = []
    async with stage("real") as at:
        for name, measure in MEASURES.items():
            if not only or name in only:
                for figure in await measure(at):
                    figures.append(figure)
                    missed = "" if figure.holds else "  MISSED"
                    print(f"{figure.name}: {figure.found} (bar {figure.bar}){missed}", flush=True)
                if name != "stop":
                    await at.served.all_ready()
    return figures

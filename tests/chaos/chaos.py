"""One run of chaos: the unbroken answers first, then the load under faults, then what is left of both."""

from __future__ import annotations

import asyncio
import time

from tests.chaos import after, schedule
from tests.chaos.faults import Faults
from tests.chaos.load import Load, unbroken
from tests.chaos.outcome import Outcome
from tests.chaos.records import Record, Run
from tests.chaos.stage import DEADLINE_S, DRAIN_S, Kind, Stage, stage

LANES: dict[Kind, int] = {"real": 10, "fake": 16}


class WrongAnswers(Exception):
    """Of an unbroken server: there is nothing to compare with."""


async def run(seed: int, seconds: float, kind: Kind) -> Run:
    """Raises WrongAnswers, and NotServed when the server does not come up."""
    faults = schedule.schedule(seed, seconds, kind)
    async with stage(kind) as at:
        load = at.load(seed)
        true = await _true(load)
        before, since = await after.at_rest(at.served), time.monotonic()
        strokes = Faults(at, load, faults, seconds)
        lanes = asyncio.create_task(load.run(LANES[kind]))
        await asyncio.gather(strokes.run(), asyncio.sleep(seconds))
        load.over = True
        await asyncio.wait_for(lanes, DEADLINE_S + 10)
        return await _told(at, load, strokes, true, before, since)


async def _told(
    at: Stage,
    load: Load,
    faults: Faults,
    true: dict[str, Outcome],
    before: after.Rest,
    since: float,
) -> Run:
    served = at.served
    left = await after.left(served, before)
    names = tuple(sorted(await served.states()))
    figures = (await after.at_rest(served)).sum("seekserve_ledger_lost_total")
    rows = await after.rows(served)
    down = after.downs(served.said, since, names)
    code = await served.stop(within_s=DRAIN_S)
    for stroke in faults.strokes:
        if stroke.engine is not None and stroke.fenced_at is not None:
            stroke.last_token = last_token(load.records, stroke.at, stroke.fenced_at)
            down[names[stroke.engine]].append((stroke.at, stroke.fenced_at))
    defects = [
        f"{s.facts.get('at')} ({s.facts.get('kind')})" for s in served.said if s.event == "defect"
    ]
    if "Traceback" in served.words():
        defects.append("a traceback among its last words")
    made = Run(load.records, faults.strokes, down, true, left, rows, figures, defects, code)
    made.left_out = len(faults.left_out)
    return made


async def _true(load: Load) -> dict[str, Outcome]:
    """Every answer, when nothing happens: twice, since one that varies by itself proves nothing."""
    records = await load.once(load.asks, 8)
    wrong = [
        record.ask.name
        for record in records
        if record.outcome.way != "answered"
        or (
            record.ask.dialect != "completions"
            and record.ask.question.answer not in record.outcome.text
        )
    ]
    again = await load.once(load.asks, 8)
    vary = {a.ask.name for a, b in zip(records, again, strict=True) if a.outcome != b.outcome}
    if len(wrong) > len(records) // 10:
        raise WrongAnswers(", ".join(wrong))
    load.asks = [ask for ask in load.asks if ask.name not in (*wrong, *vary)]
    return unbroken(records)


def last_token(records: list[Record], struck: float, fenced: float) -> float | None:
    """When a stream that fell silent before the fence, and spoke only after it, had said its last."""
    spans = [span for record in records if (span := record.silence_at(fenced))]
    return max((start for start, _ in spans if start <= struck + SPILL_S), default=None)


SPILL_S = 0.5
"""What was on its way when an engine was struck arrives within this."""

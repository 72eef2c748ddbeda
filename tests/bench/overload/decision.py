"""What one decision of the admission costs with 10,000 in line: the real one, without a network."""

import asyncio
import random
import time

from seekserve.engine.address import Address
from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import ModelCard
from seekserve.gateway.admission import Admission
from seekserve.gateway.lease import Lease
from seekserve.gateway.sizes import Wish
from seekserve.log import Log
from seekserve.settings import Limits, Tenancy
from tests.bench.measure import percentile

from .rows import Row
from .stand import SHARES

WAITING = 10_000
BAR_US = 50.0
_SEATS = 512
_KEYS = 1_000
_ROUNDS = 3_000


def _admission() -> Admission:
    engine = Engine("e", Address(path="/e"), (ModelCard("m"),), Log("text", lambda line: None))
    classes = {
        name: Tenancy(share=share, max_wait_s=1e6, ttft_target_s=1e6, queued=100_000)
        for name, share in SHARES.items()
    }
    limits = Limits(running=_SEATS, queued=100_000, wait_s=1e6)
    admission = Admission(Fleet([engine]), limits, time.monotonic, classes, "public")
    engine._become(State.READY)
    return admission


def _wish(dice: random.Random) -> Wish:
    number = dice.randrange(_KEYS)
    name = list(SHARES)[number % len(SHARES)]
    return Wish("m", f"key-{number}", name, dice.choice((800, 1600, 16_000)), 200)


async def _costs() -> tuple[list[float], list[float]]:
    """Microseconds of each arrival (estimate, and in line) and of each end (the next one chosen)."""
    admission, dice = _admission(), random.Random(7)
    line, running, arrivals, ends = admission._line("m"), [], [], []
    turns = [admission._turn(_wish(dice)) for _ in range(_SEATS + WAITING)]
    for turn in turns:
        line.add(turn)
    admission._assign()
    running = [turn.place.result() for turn in turns if turn.place.done()]
    waiting = [turn for turn in turns if not turn.place.done()]
    for _ in range(_ROUNDS):
        wish = _wish(dice)
        began = time.perf_counter()
        turn = admission._turn(wish)
        admission._refuse_early(line, turn)
        line.add(turn)
        between = time.perf_counter()
        admission._end(_any(running, dice))
        ends.append((time.perf_counter() - between) * 1e6)
        arrivals.append((between - began) * 1e6)
        waiting.append(turn)
        if not len(line):
            break
        if len(running) < _SEATS // 2:
            running += [turn.place.result() for turn in waiting if turn.place.done()]
            waiting = [turn for turn in waiting if not turn.place.done()]
    assert len(line) >= WAITING * 0.99
    return arrivals, ends


def _any(running: list[Lease], dice: random.Random) -> Lease:
    lease = running.pop(dice.randrange(len(running)))
    lease.tokens.update(prompt=300, completion=190)
    return lease


def decision() -> Row:
    """Estimate and refusal at the door, and the next choice, together: the mean; p99 in the note."""
    arrivals, ends = asyncio.run(_costs())
    both = [one + other for one, other in zip(arrivals, ends, strict=True)]
    mean = sum(both) / len(both)
    note = (
        f"door {sum(arrivals) / len(arrivals):.0f}, next {sum(ends) / len(ends):.0f}; "
        f"p99 {percentile(both, 0.99):.0f} µs"
    )
    what = f"admission decision, {WAITING:,} waiting"
    return Row(what, f"{mean:.0f} µs", f"<= {BAR_US:.0f} µs", mean <= BAR_US, note, {"us": mean})

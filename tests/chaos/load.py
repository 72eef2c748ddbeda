"""The load: lanes that ask one thing after another, each in its seeded order, and write down what came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from tests.chaos.asks import Ask
from tests.chaos.line import Heard, Line, dial
from tests.chaos.outcome import Outcome, judged
from tests.chaos.records import Record

REST_S = 0.05
REFUSED_S = 0.5
"""How long a lane rests after an answer, and after a refusal."""
GRACE_S = 2.0
"""What is listened for beyond the deadline, so that one a little late is told from one that hangs."""


@dataclass
class Load:
    """`deadlines` are by class of key; `coming` is what has been asked and not yet answered."""

    port: int
    model: str
    keys: Mapping[str, str]
    deadlines: Mapping[str, float]
    asks: Sequence[Ask]
    seed: int = 0
    records: list[Record] = field(default_factory=list)
    coming: list[Heard] = field(default_factory=list)
    over: bool = False

    async def run(self, lanes: int) -> None:
        """Until `over`, and what was asked before has its answer."""
        await asyncio.gather(*(self._lane(number) for number in range(lanes)))

    async def once(self, asks: Sequence[Ask], at_once: int = 4) -> list[Record]:
        """Each of them once; not written down."""
        places = asyncio.Semaphore(at_once)

        async def one(number: int, ask: Ask) -> Record:
            async with places:
                record, line = await self.one(f"once-{number}-{ask.name}", ask, "public", None)
                if line:
                    line.close()
                return record

        return list(await asyncio.gather(*(one(n, ask) for n, ask in enumerate(asks))))

    async def one(
        self, id_: str, ask: Ask, key_class: str, line: Line | None
    ) -> tuple[Record, Line | None]:
        """Asks on `line`, or on a new one where that is of no use; returns what may be used again."""
        sent, deadline_s = time.monotonic(), self.deadlines[key_class]
        if line is None or not line.usable:
            line = await dial(self.port)
        heard = Heard(end="" if line else "deaf")
        if line:
            self.coming.append(heard)
            request = ask.request(self.model, self.keys[key_class], id_)
            await line.ask(request, deadline_s + GRACE_S, heard)
            self.coming.remove(heard)
        times = (sent, time.monotonic(), deadline_s)
        outcome = judged(ask.dialect, heard)
        return Record.of(id_, ask, key_class, times, heard, outcome), line

    async def _lane(self, number: int) -> None:
        chance, line = Random(self.seed * 1000 + number), None
        key_class = sorted(self.keys)[number % len(self.keys)]
        for count, ask in enumerate(_mixed(self.asks, chance)):
            if self.over:
                break
            record, line = await self.one(f"{self.seed}-{number}-{count}", ask, key_class, line)
            self.records.append(record)
            if line and chance.random() < 0.3:
                line.close()
            await self._rest(REST_S if record.outcome.way == "answered" else REFUSED_S)
        if line:
            line.close()

    async def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.over and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.1))


def _mixed(asks: Sequence[Ask], chance: Random) -> Iterator[Ask]:
    """All of them in some order, again and again."""
    while True:
        yield from chance.sample(asks, len(asks))


def unbroken(records: Sequence[Record]) -> dict[str, Outcome]:
    """What every ask comes to when nothing happens, by its name."""
    return {record.ask.name: record.outcome for record in records}


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

"""One life of an engine on the other nodes: what each is told to run, and the first of them that stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seekserve.engine.link import Link
from seekserve.engine.process import TIDY_S, ended
from seekserve.engine.protocol import Ended, Facts, Reached, Start, Stop, Word

SPARE_S = 3.0  # for the word to come, beyond what an end may take


@dataclass(eq=False)
class Member:
    """Another node, while it is connected. `rank` is its place in the life that it works for."""

    link: Link
    facts: Facts
    rank: int = 0

    @property
    def words(self) -> str:
        return f"node {self.rank} ({self.link.peer})" if self.rank else f"node {self.link.peer}"


@dataclass(frozen=True, slots=True)
class Amiss:
    """What went wrong on another node. `lost` is whether it is the node that is gone, not its engine."""

    cause: str
    said: tuple[str, ...] = ()
    code: int | None = None
    lost: bool = False


class Shift:
    """`born_at` is when the youngest process on any of the nodes began, `spoke_at` when one last said
    something (monotonic, as we know it here).
    """

    def __init__(self, epoch: int, members: Iterable[Member]) -> None:
        self._epoch = epoch
        self.born_at = self.spoke_at = 0.0
        self._at_work = list(members)
        self._changed = asyncio.Event()
        self._stages: dict[Member, str] = {}
        self.amiss: Amiss | None = None

    def begin(
        self, orders: Iterable[tuple[tuple[str, ...], Mapping[str, str]]], grace_s: float
    ) -> None:
        """One order, argv and environment, for each member."""
        for member, (argv, env) in zip(self._at_work, orders, strict=True):
            member.link.say(
                Start(
                    epoch=self._epoch, rank=member.rank, argv=argv, env=dict(env), grace_s=grace_s
                )
            )

    def told(self, member: Member, word: Word) -> None:
        """What a member says of this life; of an older one it does not count."""
        if isinstance(word, Reached) and word.epoch == self._epoch:
            now = time.monotonic()
            self._stages[member] = word.stage
            self.spoke_at = max(self.spoke_at, now - word.silent_s)
            if word.young_s is not None:
                self.born_at = max(self.born_at, now - word.young_s)
        elif isinstance(word, Ended) and word.epoch == self._epoch:
            self._off(member, _amiss(member, word))

    def lost(self, member: Member, why: str) -> None:
        self._off(member, Amiss(f"{member.words} {why}", lost=True))

    def stages(self) -> list[str]:
        """Such as "node 1 (10.0.0.2): download", where they are known."""
        return [f"{member.words}: {stage}" for member, stage in self._stages.items()]

    async def until_amiss(self) -> Amiss:
        while self.amiss is None:
            await self._changed.wait()
        return self.amiss

    def hurry(self, within_s: float) -> None:
        """All of them are told to end, or to end sooner than they were told."""
        for member in self._at_work:
            member.link.say(Stop(epoch=self._epoch, within_s=within_s))

    async def end(self, within_s: float) -> list[Member]:
        """Ends the engine's processes on all of them. Returns those that did not say that they had."""
        self.hurry(within_s)
        try:
            async with asyncio.timeout(within_s + TIDY_S + SPARE_S):
                while self._at_work:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return list(self._at_work)

    def _off(self, member: Member, amiss: Amiss) -> None:
        if member in self._at_work:
            self._at_work.remove(member)
            self.amiss = self.amiss or amiss
            self._changed.set()


def _amiss(member: Member, word: Ended) -> Amiss:
    how = word.cause or ended(word.code)
    last = f": {word.said[-1]}" if word.said else ""
    log = f"\n  Its whole log, on that node: {word.log}" if word.log else ""
    return Amiss(f"{member.words}: its engine {how}{last}{log}", word.said, word.code)

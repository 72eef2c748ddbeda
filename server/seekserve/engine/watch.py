"""Watches one ready engine until something is amiss with it, and says what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from seekserve.engine.figures import UNTOLD, figures
from seekserve.engine.probe import Probe
from seekserve.engine.vigil import IDLE_S, LEAST_S, MOST_S, Look, Seen, Vigil, look_of
from seekserve.errors import counted

LOOK_S = 1.0
PROOF_S = 5.0  # for one token
GONE = 2  # looks in a row that found nothing
LATE = 0.9  # of the time for a proof: it was not wrong, but did not come

UNSEEN = Look(alive=False)

Youngest = Callable[[], float | None]
"""Seconds since the last process of an engine began, where that can be known. One that compiles a kernel
which it had no use for before starts compilers. Its processor time tells nothing: vLLM's workers spin
while they wait, for a core that hangs as well.
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks, for a proof, of silence that is never odd, and between idle proofs."""

    look_s: float = LOOK_S
    proof_s: float = PROOF_S
    least_s: float = LEAST_S
    idle_s: float = IDLE_S


USUAL = Pace()


class Watch:
    """`seen` is what its users know; `doubt` makes it look at once. `figures` are those of the last look."""

    def __init__(
        self,
        probe: Probe,
        model: str,
        seen: Callable[[], Seen],
        youngest: Youngest,
        pace: Pace = USUAL,
    ) -> None:
        self._probe, self._model, self._seen, self._youngest = probe, model, seen, youngest
        self._pace = pace
        self._looked_at = 0.0
        self.figures = UNTOLD
        self._doubted = asyncio.Event()

    def doubt(self) -> None:
        """Those who use it have reason to think that it answers wrong."""
        self._doubted.set()

    async def until_amiss(self) -> str:
        """Returns, once it is, what is amiss: in words for a log and for people."""
        pace = self._pace
        vigil = Vigil(time.monotonic(), least_s=pace.least_s, idle_s=pace.idle_s)
        self._looked_at = time.monotonic()
        while True:
            asked = await self._look(vigil)
            if (asked or self._doubted.is_set()) and (amiss := await self._amiss(vigil)):
                return amiss

    async def _look(self, vigil: Vigil) -> bool:
        """One that does not answer makes looks slow: the next follows at once, not a second later."""
        rest_s = self._looked_at + self._pace.look_s - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, rest_s)):
                await self._doubted.wait()
        except TimeoutError:
            self._looked_at = time.monotonic()
            return await self._taken(vigil)
        return True

    async def _taken(self, vigil: Vigil) -> bool:
        """One look, and whether it should be asked for a token after it."""
        alive, page = await asyncio.gather(self._probe.alive(), self._probe.metrics())
        self.figures = figures(page, time.monotonic())
        return vigil.take(look_of(alive, self.figures), self._seen(), time.monotonic())

    async def _amiss(self, vigil: Vigil) -> str:
        """Asks for a token. "" when it comes; or it is late, and others came meanwhile or it compiles. What
        others hear of one that answers wrong is no better.
        """
        doubted = self._doubted.is_set()
        self._doubted.clear()
        silent_since, began = vigil.beat_at, time.monotonic()
        wrong = await self._probe.prove(self._model, self._pace.proof_s)
        now = time.monotonic()
        if not wrong:
            vigil.proved(now)
            return ""
        late = now - began > LATE * self._pace.proof_s
        if late and await self._moved(vigil, silent_since):
            return ""
        if late and not doubted and vigil.first_doubt(silent_since):
            return ""
        young_s = self._youngest()
        if late and young_s is not None and young_s < vigil.silence_s(now) < MOST_S:
            return ""
        return self._told(vigil, wrong, now)

    async def _moved(self, vigil: Vigil, since: float) -> bool:
        """Whether tokens came meanwhile, for others than us. One whose page did not come time after time
        is not waited for again: what its users heard decides.
        """
        if vigil.missed < GONE:
            await self._taken(vigil)
        else:
            vigil.take(UNSEEN, self._seen(), time.monotonic())
        return vigil.requests > 0 and vigil.beat_at > since

    def _told(self, vigil: Vigil, wrong: str, now: float) -> str:
        silent_s = vigil.silence_s(now)
        if vigil.missed:
            return f"it stopped answering: {wrong}"
        if vigil.requests and silent_s > self._pace.look_s:
            return (
                f"it hangs: no token for {silent_s:.0f} s with {counted(vigil.requests, 'request')} at "
                f"hand, and asked for one, {wrong}"
            )
        return f"it does not work: asked for a token, {wrong}"

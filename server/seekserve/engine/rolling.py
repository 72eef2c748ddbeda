"""Engines that are to be others, or anew: one after another, so that what is asked meanwhile is answered.

A changed engine is started beside the one it replaces where there is room for both, which costs no
answer at all; else after it. One that does not come up leaves all as they were: those too many are stopped
last, and those that were changed before it are changed back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from seekserve.engine.engine import NODES, Engine, Snapshot, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.stages import in_words
from seekserve.errors import ConfigError, EngineFailed, UnknownName

WAITING = "wait"
Make = Callable[[int], Launched]
"""An engine by its number; it is not started."""
OrderOf = Callable[[Launched], Order]


class Rolling:
    """`make` builds engines as the configuration has them now, `order_of` says what one that there is
    should be.
    """

    def __init__(self, fleet: Fleet, make: Make, order_of: OrderOf, beside: bool) -> None:
        self._fleet, self._make, self._order_of, self._beside = fleet, make, order_of, beside

    async def to(self, count: int, force: bool = False) -> list[str]:
        """Brings the fleet to `count` engines of the new kind; `force` starts equal ones anew as well.
        Returns what was done, in words. Raises EngineFailed when one does not come up, once those that
        were changed are as they were.
        """
        ours = list(self._ours().values())
        ours.sort(key=lambda engine: not engine.ready)  # of too many, those that work stay
        stale = [e for e in ours[:count] if force or self._is_stale(e)]
        stale.sort(key=lambda engine: engine.ready)  # and those that work are the last to go
        more, surplus = count - len(ours), ours[count:]
        if self._beside and more <= 0:  # else one more takes the room
            more, surplus, stale = len(stale), stale + surplus, []
        done = await self._come(more, stale)
        return done + [await self._away(engine) for engine in surplus]

    def _ours(self) -> dict[str, Launched]:
        return {e.snapshot.name: e for e in self._fleet.engines if isinstance(e, Launched)}

    def _is_stale(self, engine: Launched) -> bool:
        return engine.snapshot.state is State.FAILED or self._order_of(engine) != engine.order

    async def _come(self, more: int, stale: list[Launched]) -> list[str]:
        """Those `more`, then each stale one in its place, while others take its requests: all, or none."""
        added: list[Launched] = []
        before: list[tuple[str, Order]] = []
        done: list[str] = []
        try:
            for _ in range(more):
                added.append(await self._one_more())
                done.append(f"{added[-1].snapshot.name} was started")
            for engine in stale:
                before.append((engine.snapshot.name, engine.order))
                done.append(await self._begun_again(engine, self._order_of(engine)))
        except EngineFailed:
            with suppress(EngineFailed):  # the old cannot be had either: what works is left alone
                await self._back(before, added)
            raise
        return done

    async def _back(self, before: list[tuple[str, Order]], added: list[Launched]) -> None:
        """The one that failed is the last of them."""
        for name, order in reversed(before):
            engine = self._ours()[name]  # where it was given up, another has its name
            if engine.order != order or engine.snapshot.state is State.FAILED:
                await self._begun_again(engine, order)
        for engine in added:
            await self._fleet.let_go(engine)

    async def _away(self, engine: Launched) -> str:
        await self._fleet.let_go(engine)
        return f"{engine.snapshot.name} was stopped"

    async def _one_more(self) -> Launched:
        engine = self._make(self._number())
        self._fleet.add(engine)
        try:
            await _up(engine, 0)
        except EngineFailed:
            await self._fleet.let_go(engine)
            raise
        return engine

    async def _begun_again(self, engine: Launched, order: Order) -> str:
        if engine.snapshot.state is State.FAILED:
            return await self._revived(engine, order)
        engine.adopt(order)
        return await _renewed(engine)

    async def _revived(self, engine: Launched, order: Order) -> str:
        """One that was given up has no next life: another takes its name."""
        name = engine.snapshot.name
        await self._fleet.let_go(engine)
        new = self._make(engine.number)
        new.adopt(order)
        self._fleet.add(new)
        await _up(new, 0)
        return f"{name} was started anew"

    def _number(self) -> int:
        taken = {engine.snapshot.name for engine in self._fleet.engines}
        return next(n for n in range(len(taken) + 1) if f"engine-{n}" not in taken)


async def renewed(fleet: Fleet, name: str) -> list[str]:
    """Starts one engine anew, once what runs on it is done. Raises ConfigError for one of somebody
    else's, and EngineFailed when it does not come up.
    """
    engine = next((one for one in fleet.engines if one.snapshot.name == name), None)
    if engine is None:
        raise UnknownName(f"There is no engine {name} any more.", "Look again: GET /engines.")
    if not isinstance(engine, Launched):
        raise ConfigError(
            f"{name} was not started here, so it cannot be restarted from here.",
            f"Restart the server at {engine.snapshot.address}.",
        )
    if engine.snapshot.state is State.FAILED:
        raise EngineFailed(
            f"{name} was given up: {engine.snapshot.cause}",
            engine.snapshot.todo or "Mend the cause, then: seekserve reload --engines.",
        )
    return [await _renewed(engine)]


async def _renewed(engine: Launched) -> str:
    restarts = engine.snapshot.restarts
    begun = engine.snapshot.stage != WAITING  # else its next life is counted already
    engine.renew()
    await _up(engine, restarts + begun)
    return f"{engine.snapshot.name} was started anew"


async def _up(engine: Engine, restarts: int) -> None:
    """Until it is ready in a life no earlier than that. Raises EngineFailed with what it said."""
    news = asyncio.Event()

    def heard(snapshot: Snapshot) -> None:
        news.set()

    engine.listen(heard)
    try:
        while not _is_up(engine.snapshot, restarts):
            news.clear()
            await news.wait()
    finally:
        engine.ignore(heard)


def _is_up(now: Snapshot, restarts: int) -> bool:
    gone = now.state in (State.FAILED, State.STOPPED) and now.since > 0
    if gone or (now.restarts > restarts and now.state is not State.READY):
        raise EngineFailed(f"{now.name} did not come up: {now.cause}", now.todo)
    missing = now.stage == NODES and now.joined < now.nodes
    if missing and now.restarts >= restarts:  # nobody knows for how long
        raise EngineFailed(
            f"{now.name} did not come up: {in_words(now)}. {now.cause}".rstrip(),
            f"On each node that is missing: seekserve join {now.where}. It starts once all are there.",
        )
    return now.restarts >= restarts and now.state is State.READY

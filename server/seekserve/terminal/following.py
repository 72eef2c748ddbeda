"""Keeps up with one server: its past once, then what it tells each second; again whenever it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from seekserve.errors import Unanswered
from seekserve.terminal.asking import Site, page, stream
from seekserve.terminal.seen import Seen

DATA = "/console/api/"
SILENCE_S = 15.0  # it tells something every second
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 15.0


async def follow(
    at: Site, seen: Seen, changed: Callable[[], None], silence_s: float = SILENCE_S
) -> None:
    """Until it is cancelled. A line that is kept alive and tells nothing is as good as gone."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await _past(at, seen)
            live = stream(at, f"{DATA}live", silence_s)
            async with live as events, asyncio.timeout(silence_s) as quiet:
                async for event in events:
                    quiet.reschedule(asyncio.get_running_loop().time() + silence_s)
                    seen.heard(event)
                    wait_s = FIRST_WAIT_S
                    changed()
            raise Unanswered(f"{at.name} has ended the stream.")
        except Unanswered as error:
            seen.lost(error.message, error.todo, time.monotonic() + wait_s)
        changed()
        await asyncio.sleep(wait_s)
        wait_s = min(LONGEST_WAIT_S, wait_s * 2)


async def look(at: Site, seen: Seen) -> bool:
    """Once: what it is now and was. False, with the reason in `seen`, where it does not say."""
    try:
        seen.stated(await page(at, f"{DATA}state"))
        await _past(at, seen)
    except Unanswered as error:
        seen.lost(error.message, error.todo, 0)
        return False
    return True


async def _past(at: Site, seen: Seen) -> None:
    seen.remembered(await page(at, f"{DATA}history"))
    seen.recalled(await page(at, f"{DATA}events"))

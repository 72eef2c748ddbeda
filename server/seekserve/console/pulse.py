"""The Console's clock: once a second what is to be shown is looked at, kept, and told to all who watch.

It reads what others keep anyway and asks nobody anything, so that a second costs the same whether many
watch or none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from seekserve.console.history import History
from seekserve.console.live import Live
from seekserve.console.looking import Values
from seekserve.log import Log

STEP_S = 1.0
MOST = 1e30


class Pulse:
    """`async with` it. `look` says what each series is now, `engines` how they are, `news` what happened
    since it was last asked, `shared` what every guest was told at first.
    """

    def __init__(
        self,
        live: Live,
        history: History,
        look: Callable[[], Values],
        engines: Callable[[], list[dict[str, Any]]],
        news: Callable[[], list[dict[str, Any]]],
        shared: Callable[[], dict[str, Any]],
        log: Log,
    ) -> None:
        self._live, self._history, self._log = live, history, log
        self._look, self._engines, self._news, self._shared = look, engines, news, shared
        self._before: dict[str, Any] = {}
        self._failed = False

    async def __aenter__(self) -> Self:
        self._before = self._shared()
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due = max(due + STEP_S, clock())  # one that comes late is not made up for
            await asyncio.sleep(due - clock())
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001  nobody's request may suffer, nor the page stand still
                if not self._failed:
                    self._log.event("defect", kind=type(error).__name__, at="console")
                self._failed = True

    def tick(self) -> None:
        """One second's look."""
        at = round(time.time(), 3)
        values = {name: _short(value) for name, value in self._look().items()}
        self._history.take(at, values)
        tick = {"at": at, "values": values, "engines": self._engines()}
        events = b"".join(event("event", one) for one in self._news())
        before, self._before = self._before, self._shared()
        self._live.say(event("tick", tick), events, before != self._before)


def _short(value: float | None) -> float | None:
    """As many digits as anybody reads; what an engine's page made too large to be true is not known."""
    return float(f"{value:.5g}") if value is not None and abs(value) < MOST else None


def event(name: str, told: dict[str, Any]) -> bytes:
    data = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {data}\n\n".encode(errors="replace")

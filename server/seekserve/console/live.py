"""One tick's bytes for all who watch. Who does not read in time misses ticks, and costs no memory.

There are so many seats. A stop of the server ends every watcher at once: nothing waits for a console.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seekserve.console.pages import GUARDED
from seekserve.errors import QueueFull, Stopping
from seekserve.gateway.outlet import WRITER

SEATS = 64
BEHIND = 64
"""Ticks whose events are kept for those who are late."""
HEADERS = {
    **GUARDED,
    "cache-control": "no-store",
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",  # nginx would keep ticks until it has 64 KB of them
}


class Live:
    """The Console's clock alone calls `say`."""

    def __init__(self, seats: int = SEATS) -> None:
        self._seats, self._number, self._over = seats, 0, False
        self._tick = b""
        self._events: deque[tuple[int, bytes]] = deque(maxlen=BEHIND)
        self.states = 0
        self._turn = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()

    def __len__(self) -> int:
        """How many watch."""
        return len(self._limits)

    def say(self, tick: bytes, events: bytes = b"", changed: bool = False) -> None:
        """`changed`: what guests were told at first is no longer so."""
        self._tick, self._number = tick, self._number + 1
        self.states += changed
        if events:
            self._events.append((self._number, events))
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    def end(self) -> None:
        self._over = True
        for limit in tuple(self._limits):
            _end(limit)

    def watcher(self, state: Callable[[], bytes], holds: Callable[[], bool]) -> Watcher:
        """A stream that begins with the state and lasts while `holds`. Raises Refusal."""
        if self._over:
            raise Stopping("The server is stopping: nothing more is told.", retry_after_s=10)
        if len(self) >= self._seats:
            raise QueueFull(
                f"{self._seats} consoles are watching already, which is all there is room for. Close one.",
                code="no_seat",
                retry_after_s=30,
            )
        return Watcher(self, state, holds)

    def since(self, number: int) -> tuple[int, bytes]:
        """The last tick, and the events of those that were missed after that `number`."""
        events = b"".join(said for of, said in self._events if of > number)
        return self._number, events + self._tick

    @property
    def number(self) -> int:
        return self._number

    async def turned(self) -> None:
        await self._turn.wait()

    def seated(self, limit: asyncio.Timeout) -> None:
        self._limits.add(limit)

    def left(self, limit: asyncio.Timeout) -> None:
        self._limits.discard(limit)


class Watcher(Response):
    """One who watches: until it leaves, what let it in holds no longer, or the server stops."""

    def __init__(self, live: Live, state: Callable[[], bytes], holds: Callable[[], bool]) -> None:
        self._live, self._state, self._holds = live, state, holds
        self._stuck = False
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        try:
            async with asyncio.timeout(None) as limit:
                self._live.seated(limit)
                gone.add_done_callback(lambda _: _end(limit))
                await self._follow(send)
        except TimeoutError:
            if self._stuck and (writer := scope.get("extensions", {}).get(WRITER)):
                writer.drop()  # what it did not read so far it will not read in time
        finally:
            self._live.left(limit)
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        number, states, said = self._live.number, self._live.states, self._state()
        while self._holds():
            self._stuck = True
            await send({"type": "http.response.body", "body": said, "more_body": True})
            self._stuck = False
            if number == self._live.number:
                await self._live.turned()
            number, said = self._live.since(number)
            if states != self._live.states:
                states, said = self._live.states, self._state() + said


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _end(limit: asyncio.Timeout) -> None:
    with suppress(RuntimeError):  # it is over already
        limit.reschedule(asyncio.get_running_loop().time())

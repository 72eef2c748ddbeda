"""Whether the server is on its way out, and the door that is shut then to what is new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from seekserve.errors import Stopping
from seekserve.gateway.record import trace_of
from seekserve.gateway.trace import refuse

STILL_TOLD = frozenset({"/health/live", "/health/ready"})
COME_BACK_S = 10.0
HEAR, HEAR_S = 2**20, 1.0


class Closing:
    """The server alone begins it; everybody may look."""

    def __init__(self) -> None:
        self.begun = False
        self._listeners: list[Callable[[], None]] = []

    def begin(self) -> None:
        first, self.begun = not self.begun, True
        for listener in self._listeners if first else ():
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """`listener` is called once it begins."""
        self._listeners.append(listener)


class LastOrders:
    """ASGI middleware: once closing has begun only what tells of the server is answered.

    Requests that came before are inside already, running or in line, and are finished. One that the
    server gives up all the same, and that nobody answered, is answered here.
    """

    def __init__(self, app: ASGIApp, closing: Closing) -> None:
        self._app, self._closing = app, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._closing.begun and scope["type"] == "http" and scope["path"] not in STILL_TOLD:
            await _heard(receive)
            await refuse(_stopping("takes no new requests"), scope, send)
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._closing.begun or trace_of(scope).status:
                raise
            cast(asyncio.Task[None], asyncio.current_task()).uncancel()
            await refuse(_stopping("could not wait for this request"), scope, send)


async def _heard(receive: Receive) -> None:
    """Most bodies come right behind their head, and only after them may an answer end the connection."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEAR_S):
            while more and size < HEAR:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def _stopping(how: str) -> Stopping:
    return Stopping(
        f"The server is stopping and {how}. Send it again shortly.", retry_after_s=COME_BACK_S
    )

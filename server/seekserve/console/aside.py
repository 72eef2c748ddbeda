"""Slow looks in threads of their own, of which few run at once: whoever asks for more waits, or is sent away.

Not in the loop's own threads: key files are read there, and a revoked key must end at once. Nobody waits
for a look at the end, so that a stop is never held up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from seekserve.errors import QueueFull, Stopping

Made = TypeVar("Made")
ABREAST, WAITING = 2, 32


class Aside:
    """For one kind of looks. `end` is for when the server stops."""

    def __init__(self, abreast: int = ABREAST, waiting: int = WAITING) -> None:
        self._turn, self._most = asyncio.Semaphore(abreast), abreast + waiting
        self._inside, self._over = 0, asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def __call__(self, look: Callable[[], Made]) -> Made:
        """What `look` came to. Raises Refusal, and what it raises."""
        if self._inside >= self._most:
            raise QueueFull(
                f"{self._inside} such questions are asked already. Ask again in a moment.",
                retry_after_s=5,
            )
        self._inside += 1
        made = asyncio.ensure_future(self._made(look))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((made, over), return_when=asyncio.FIRST_COMPLETED)
            if not made.done():
                raise Stopping("The server is stopping: nothing more is told.", retry_after_s=10)
            return made.result()
        finally:
            self._inside -= 1
            made.cancel()
            over.cancel()

    async def _made(self, look: Callable[[], Made]) -> Made:
        async with self._turn:
            return await begun(look)


def begun(look: Callable[[], Made]) -> asyncio.Future[Made]:
    """In a thread that dies with the program."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Made] = loop.create_future()

    def settle(done: Made | None, error: BaseException | None = None) -> None:
        if made.done():
            return
        if error is not None:
            made.set_exception(error)
        else:
            made.set_result(done)  # type: ignore[arg-type]

    def run() -> None:
        done, failed = None, None
        try:
            done = look()
        except Exception as error:  # noqa: BLE001  whoever asked is told of it
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, done, failed)

    threading.Thread(target=run, name="look", daemon=True).start()
    return made

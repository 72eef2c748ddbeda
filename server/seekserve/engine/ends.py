"""Several things that may end something, of which the first counts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Ends:
    """Tasks of which one is waited for; the others end with the block."""

    async def __aenter__(self) -> Self:
        self._tasks: list[asyncio.Task[Any]] = []
        return self

    def add(self, what: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(what)
        self._tasks.append(task)
        return task

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

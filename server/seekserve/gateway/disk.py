"""How much room the disk of the state folder has: looked up now and then, in a thread.

A scrape reads what was seen last. A disk that does not answer, as a network's may, then holds up neither
the scrape nor a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Self

from seekserve.metrics import Reading

LOOK_S = 10.0


class Disk:
    """Looks inside its `async with`. Alone writes what it saw."""

    def __init__(self, folder: Path, look_s: float = LOOK_S) -> None:
        self._folder, self._look_s = folder, look_s
        self._seen: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                found = await asyncio.to_thread(shutil.disk_usage, self._folder)
                self._seen = {"free": float(found.free), "total": float(found.total)}
            await asyncio.sleep(self._look_s)

    def gauges(self) -> list[Reading]:
        rows = [((of,), value) for of, value in self._seen.items()]
        return [("state_disk_bytes", "Room on the disk of the state folder.", ("of",), rows)]

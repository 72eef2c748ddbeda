"""Two fake engines on Unix sockets, kept alive here as a machine's own supervisor would.

The server is attached to them, so that it finds out what is wrong, and who starts them again is we.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from tests.support import FAKE, without_proxies

AGAIN_S = 3.0
"""Between an end and the next start."""


class Fake:
    def __init__(self, folder: Path, number: int) -> None:
        self.path, self._log = folder / f"engine-{number}.sock", folder / f"engine-{number}.out"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

    async def run(self) -> None:
        """For ever: started, and started again."""
        while True:
            self.path.unlink(missing_ok=True)
            with self._log.open("ab") as sink:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, str(FAKE), "--uds", str(self.path),
                    stdout=sink, stderr=sink, env=without_proxies(),
                )  # fmt: skip
            try:
                await self._process.wait()
            finally:
                self.send(signal.SIGKILL)
            await asyncio.sleep(AGAIN_S)

    def send(self, number: int) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def mood(self, **knobs: str) -> None:
        """What happens to every request from now on, as if each had asked for it; nothing: all is well."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.path))
        async with httpx.AsyncClient(transport=transport, base_url="http://fake") as client:
            with suppress(httpx.HTTPError):
                await client.post("/mood", json=knobs)


class Crew:
    def __init__(self, fakes: list[Fake]) -> None:
        self.fakes = fakes

    @property
    def urls(self) -> list[str]:
        return [fake.url for fake in self.fakes]

    async def strike(self, number: int, kind: str, garbage: str = "") -> None:
        fake = self.fakes[number]
        match kind:
            case "kill":
                fake.send(signal.SIGKILL)
            case "stop":
                fake.send(signal.SIGSTOP)
            case "unlink-socket":
                fake.path.unlink(missing_ok=True)
            case "hang":
                await fake.mood(fault="hang_before_head")
            case "refuse":
                await fake.mood(fault="status", code="503")
            case "garbage":
                await fake.mood(fault=garbage)
            case _:
                raise ValueError(kind)

    async def mend(self, number: int, kind: str) -> bool:
        """What its owner would do about it: a fake that hangs, or that nobody can reach, is killed. Whether
        it was.
        """
        fake = self.fakes[number]
        if kind in ("refuse", "garbage"):
            await fake.mood()
            return False
        if kind == "kill":
            return False
        fake.send(signal.SIGKILL)
        return True


@asynccontextmanager
async def crew(folder: Path, count: int) -> AsyncIterator[Crew]:
    fakes = [Fake(folder, number) for number in range(count)]
    tasks = [asyncio.create_task(fake.run()) for fake in fakes]
    try:
        yield Crew(fakes)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

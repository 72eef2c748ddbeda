"""The real `seekserve serve` process: started as a user would, its words with their moments, its pages.

What it prints goes to a file that is followed, so that it never waits for its reader.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from seekserve.gateway import keyfile
from seekserve.gateway.keys import Key, mint
from tests.support import free_port, ops_client, samples, without_proxies

CLASSES = ("enterprise", "public", "batch")
SPARE = "spare"
"""A key that nobody uses, whose cap changes when the key file does."""
START_S = 240.0
FOLLOW_S = 0.02


class NotServed(Exception):
    """The server ended, or never came so far."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event of its log, when (monotonic) we read it."""

    at: float
    event: str
    facts: Mapping[str, Any]


@dataclass
class Served:
    process: asyncio.subprocess.Process
    port: int
    state: Path
    output: Path
    keys: Mapping[str, str]
    ops: httpx.AsyncClient
    said: list[Said] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.process.pid

    def words(self) -> str:
        return self.output.read_text(errors="replace")[-3000:]

    async def figures(self) -> dict[str, float]:
        """Every sample of the operators' page."""
        return samples((await self.ops.get("/metrics")).text)

    async def states(self) -> dict[str, str]:
        """Of each engine, by name."""
        told = (await self.ops.get("/health/ready")).json()["engines"]
        return {engine["name"]: engine["state"] for engine in told}

    async def stage_s(self, engine: str) -> float:
        """What an engine's last start took, by its own stages."""
        found = await self.figures()
        name = "seekserve_engine_start_seconds"
        return sum(v for k, v in found.items() if k.startswith(name) and f"engine={engine}," in k)

    async def all_ready(self, within_s: float = START_S) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.process.returncode is not None:
                raise NotServed(f"it ended with {self.process.returncode}:\n{self.words()}")
            with suppress(httpx.HTTPError, OSError, ValueError, KeyError):
                if all(state == "ready" for state in (await self.states()).values()):
                    return
            await asyncio.sleep(0.1)
        raise NotServed(f"not ready after {within_s:.0f} s:\n{self.words()}")

    async def heard(self, since: float, event: str, within_s: float, **facts: Any) -> Said | None:
        """The first such event of its log after `since`; None when none comes."""
        deadline = time.monotonic() + within_s
        while True:
            for one in reversed([one for one in self.said if one.at >= since]):
                if one.event == event and all(one.facts.get(k) == v for k, v in facts.items()):
                    return one
            if time.monotonic() > deadline or self.process.returncode is not None:
                return None
            await asyncio.sleep(FOLLOW_S)

    async def stop(self, number: int = signal.SIGTERM, within_s: float = 60) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), within_s)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise NotServed(f"it did not end within {within_s:.0f} s of its signal") from None


@asynccontextmanager
async def serve(
    flags: Sequence[str], tier: Path, state: Path, folder: Path
) -> AsyncIterator[Served]:
    """`state` is its state folder, `folder` takes what it prints and its engines' sockets."""
    keys = minted(state)
    port, output = free_port(), folder / "output.txt"
    words = [sys.executable, "-m", "seekserve", "serve", "--tier", str(tier), "--port", str(port)]
    words += ["--log-format", "json", *flags]
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(state), "TMPDIR": str(folder)}
    env.pop("SEEKSERVE_API_KEY", None)
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *words, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    async with ops_client(str(state / "ops.sock")) as ops:
        served = Served(process, port, state, output, keys, ops)
        follower = asyncio.create_task(_follow(output, served.said))
        try:
            yield served
        finally:
            follower.cancel()
            with suppress(NotServed):
                await served.stop()


async def _follow(path: Path, said: list[Said]) -> None:
    rest = b""
    with path.open("rb") as file:
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            now = time.monotonic()
            for line in lines:
                with suppress(ValueError):
                    facts = json.loads(line)
                    said.append(Said(now, facts.pop("event"), facts))
            await asyncio.sleep(FOLLOW_S)


def minted(state: Path) -> dict[str, str]:
    """A key of each class, in the key file of `state`, and a spare one; the texts of the first by class."""
    made = {name: (secrets.token_hex(6), name) for name in (*CLASSES, SPARE)}
    texts, keys = {}, []
    for name, (id_, _) in made.items():
        texts[name], secret = mint(id_)
        of = name if name in CLASSES else ""
        keys.append(
            Key(id=id_, name=name, secrets=(secret,), class_name=of, created_at=datetime.now(UTC))
        )
    keyfile.edit(state / keyfile.NAME, lambda old: tuple(keys))
    return {name: texts[name] for name in CLASSES}


def change_spare(state: Path, per_min: int) -> None:
    """Raises ConfigError where the file cannot be written."""

    def change(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        return tuple(
            key.model_copy(update={"requests_per_min": per_min}) if key.name == SPARE else key
            for key in keys
        )

    keyfile.edit(state / keyfile.NAME, change)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_mib(pid: int) -> float:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1024

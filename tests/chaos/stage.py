"""Where a run happens: its folder, its tier file, the server in front of two engines."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from seekserve.config import configs_dir
from tests.chaos.asks import Ask, every, sums_and_counts, words
from tests.chaos.disk import Disk, disk
from tests.chaos.fakes import Crew, crew
from tests.chaos.load import Load
from tests.chaos.served import Served, serve

Kind = Literal["real", "fake"]
WAIT_S = 20.0
ANSWER_S = 40.0
FENCE_S = 20.0
DEADLINE_S = 2 * WAIT_S + FENCE_S + ANSWER_S
"""Of every request: its place in line, the time in which an engine that hangs is found out, a second place,
and an answer on a machine that does much else.
"""
RUNNING = 16
DRAIN_S = 60
STROKES = 20
"""Restarts that are forgiven: an engine that we strike six times in five minutes is in no crash loop."""


def tier_of(kind: Kind, running: int = RUNNING, queued: int = 512) -> dict[str, Any]:
    """The demo tier with two engines (fakes are attached), and waits that are short enough to be watched."""
    tier: dict[str, Any] = yaml.safe_load((configs_dir() / "tiers" / "demo.yaml").read_text())
    share = {"enterprise": 0.6, "public": 0.3, "batch": 0.1}
    waits = {"max_wait_s": WAIT_S, "ttft_target_s": WAIT_S, "queued": queued}
    classes = {name: {"share": part} | waits for name, part in share.items()}
    limits = tier["limits"] | {"running": running, "queued": queued, "wait_s": WAIT_S}
    engines = 2 if kind == "real" else 1
    engine = tier["engine"] | {"max_restarts": STROKES}
    named = {"tier": "chaos", "engines": engines, "classes": classes, "limits": limits}
    return tier | named | {"engine": engine}


def write_tier(path: Path, tier: dict[str, Any]) -> None:
    """Replaced whole: the server may read it at any moment."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(tier))
    fresh.replace(path)


@dataclass
class Stage:
    kind: Kind
    served: Served
    tier: Path
    disk: Disk
    crew: Crew | None

    @property
    def model(self) -> str:
        return "fake" if self.crew else "deepseek-demo"

    def asks(self) -> tuple[Ask, ...]:
        return every(words(6) if self.crew else sums_and_counts(6))

    def load(self, seed: int = 0) -> Load:
        deadlines = dict.fromkeys(self.served.keys, DEADLINE_S)
        served = self.served
        return Load(served.port, self.model, served.keys, deadlines, self.asks(), seed)


@asynccontextmanager
async def stage(kind: Kind) -> AsyncIterator[Stage]:
    """The server, once both engines are ready."""
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="seekserve-chaos-")))
        room = held.enter_context(disk(folder / "state"))
        tier = folder / "chaos.yaml"
        write_tier(tier, tier_of(kind))
        flags, hands = ["--drain", str(DRAIN_S)], None
        if kind == "fake":
            hands = await held.enter_async_context(crew(folder, 2))
            flags += [word for url in hands.urls for word in ("--engine", url)]
        served = await held.enter_async_context(serve(flags, tier, room.folder, folder))
        room.process = served.pid
        await served.all_ready()
        await asyncio.sleep(0.5)
        yield Stage(kind, served, tier, room, hands)

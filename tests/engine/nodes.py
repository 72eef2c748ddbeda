"""A head and other nodes for tests: real connections over loopback, fake engines as real processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from seekserve.binding import bound
from seekserve.engine.engine import Snapshot, State
from seekserve.engine.joining import Joining, Post
from seekserve.engine.launched import Order
from seekserve.engine.link import Pulse
from seekserve.engine.muster import MOST_STRANGERS, Muster
from seekserve.engine.process import Command
from seekserve.engine.protocol import Facts
from seekserve.engine.spread import Spread
from seekserve.log import Log
from seekserve.settings import EngineSettings, Listen
from tests.support import FAKE, PATIENCE_S, alive, until

TOKEN = "a-token-of-thirty-two-characters"
QUICK = Pulse(beat_s=0.2, lost_s=4.0)  # a busy machine may let a process wait for seconds
FACTS = Facts(
    name="n",
    seekserve="1",
    vllm="0.32.0",
    platform="cuda",
    accelerator="H100",
    count=8,
    memory_gib=79.6,
)
CHILD = "import sys; from tests.engine.nodes import child; child(*sys.argv[1:])"


def post(port: int, folder: Path, token: str = TOKEN, facts: Facts = FACTS) -> Post:
    """A node that takes `fake MODEL KNOBS` for an engine."""
    folder.mkdir(exist_ok=True)

    def runs(argv: tuple[str, ...]) -> tuple[str, ...]:
        knobs = ("--port", "0", "--births", str(folder / "births"), *argv[2:])
        return (sys.executable, str(FAKE), *knobs)

    head = Listen(host="127.0.0.1", port=port)
    return Post(head, SecretStr(token), facts, ("fake",), folder, folder / "node.log", runs)


def child(port: str, folder: str) -> None:
    """Joins from a process of its own, which can be killed or frozen."""
    joining = Joining(post(int(port), Path(folder)), Log("json"), lambda line: None, QUICK)
    asyncio.run(joining.run())


@contextmanager
def joined(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(port), str(folder)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Node:
    """One that joins from this loop."""

    folder: Path
    task: asyncio.Task[None] | None = None
    heard: list[str] = field(default_factory=list)

    @property
    def births(self) -> list[int]:
        return births(self.folder)

    def said(self, words: str) -> bool:
        return any(words in line for line in self.heard)


def environ(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def births(folder: Path) -> list[int]:
    """The pids of every process that was an engine there."""
    file = folder / "births"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


@asynccontextmanager
async def node(
    port: int, folder: Path, token: str = TOKEN, facts: Facts = FACTS
) -> AsyncIterator[Node]:
    """Afterwards nothing of it runs."""
    one = Node(folder)
    joining = Joining(post(port, folder, token, facts), Log("json"), one.heard.append, QUICK)
    one.task = asyncio.create_task(joining.run())
    try:
        yield one
    finally:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
        assert not [pid for pid in one.births if alive(pid)]


@dataclass
class Head:
    """An engine over several nodes, and where they join."""

    engine: Spread
    muster: Muster
    folder: Path
    lines: list[str]
    heard: list[Snapshot] = field(default_factory=list)

    @property
    def births(self) -> list[int]:
        return births(self.folder)

    @property
    def port(self) -> int:
        port: int = self.muster.port
        return port

    def events(self, name: str = "node") -> list[dict[str, Any]]:
        return [e for e in map(json.loads, self.lines) if e["event"] == name]

    async def becomes(self, state: State, restarts: int = 0) -> Snapshot:
        def is_so() -> bool:
            now = self.engine.snapshot
            return now.state is state and now.restarts >= restarts

        await until(is_so, f"{self.engine!r} to be {state}", 2 * PATIENCE_S)
        return self.engine.snapshot

    async def waits(self, joined: int = 1) -> Snapshot:
        """For nodes, of which so many are there."""

        def is_so() -> bool:
            now = self.engine.snapshot
            return now.stage == "nodes" and now.joined == joined

        await until(is_so, f"{self.engine!r} to wait for nodes")
        return self.engine.snapshot


@contextmanager
def listening(port: int = 0) -> Iterator[Any]:
    with bound(Listen(host="127.0.0.1", port=port), MOST_STRANGERS, "--cluster HOST") as door:
        yield door


def engine_of(
    folder: Path,
    nodes: Muster,
    log: Log,
    here: tuple[str, ...],
    away: tuple[str, ...],
    **settings: Any,
) -> Spread:
    folder.mkdir(exist_ok=True)
    given = {"served_as": ("fake",), "stop_grace_s": 5, "start_timeout_s": 20} | settings
    path = folder / "engine.sock"
    words = (sys.executable, str(FAKE), "--uds", str(path), "--births", str(folder / "births"))
    others = (Command(("fake", "model", *away), {"FROM_HEAD": "1"}),) * (nodes.nodes - 1)
    order = Order(Command((*words, *here)), EngineSettings.model_validate(given), others=others)
    return Spread("engine-0", order, path, folder / "engine.log", log, nodes)


@asynccontextmanager
async def head(
    folder: Path,
    *away: str,
    here: tuple[str, ...] = (),
    nodes: int = 2,
    port: int = 0,
    **settings: Any,
) -> AsyncIterator[Head]:
    """One that runs; afterwards nothing of it does. `away` are knobs of the other nodes' engines, `here` of
    its own.
    """
    lines: list[str] = []
    log = Log("json", lines.append)
    with listening(port) as door:
        async with Muster(door, SecretStr(TOKEN), FACTS, nodes, log, QUICK) as there:
            one = Head(engine_of(folder, there, log, here, away, **settings), there, folder, lines)
            one.engine.listen(one.heard.append)
            task = asyncio.create_task(one.engine.run())
            try:
                yield one
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    assert not [pid for pid in one.births if alive(pid)]

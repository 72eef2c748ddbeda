"""The contestants' processes: an engine, with or without caps of its own, and seekserve in front of it."""

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import engine_ratio
from tests.bench.launch import ROOT, free_port, output, running, wait_ready

from .clients import Address
from .h100 import MODEL

_START_S: Final = 30.0
_TIER: Final = """\
tier: overload
defaults: {{thinking: engine}}
limits: {{running: {running}, queued: 16384, wait_s: 600}}
classes:
  enterprise: {{share: 0.6, max_wait_s: 60, ttft_target_s: {target_s}, queued: 4096}}
  public: {{share: 0.3, max_wait_s: 30, ttft_target_s: {target_s}, queued: 4096}}
  batch: {{share: 0.1, max_wait_s: 600, ttft_target_s: 300, queued: 4096}}
default_class: public
"""
SHARES: Final = {"enterprise": 0.6, "public": 0.3, "batch": 0.1}
KEYS: Final = {**{name: name for name in SHARES}, "quiet": "public", "busy": "public"}
"""The name of each key, and its class."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An engine to start: ours with an H100's speeds, or vLLM with the demo model."""

    name: str
    model: str
    sequences: int
    target_s: float


FAKE: Final = Kind("h100", MODEL, 512, 2.0)
REAL: Final = Kind("demo", engine_ratio.MODEL, 32, 2.0)


@dataclass(slots=True)
class Stand:
    """Where the processes of one run live. `bearers` are the keys' texts, once they are made; `shared` is
    an engine that is too slow to start for each turn to have one of its own.
    """

    folder: Path
    kind: Kind
    bearers: dict[str, str] = field(default_factory=dict)
    count: int = 0
    shared: Path | None = None

    @property
    def state(self) -> Mapping[str, str]:
        return {
            "PYTHONPATH": str(ROOT / "server"),
            "SEEKSERVE_STATE_DIR": str(self.folder / "state"),
        }

    def place(self) -> Path:
        self.count += 1
        place = self.folder / str(self.count)
        place.mkdir()
        return place

    async def make_keys(self) -> None:
        """By the verb that a host uses: a key is printed alone on stdout."""
        for name, key_class in KEYS.items():
            words = ["-m", "seekserve", "keys", "add", name, "--class", key_class]
            self.bearers[name] = (await output(words, _START_S, self.state)).strip()


@dataclass(frozen=True, slots=True)
class Engine:
    """One that answers. `flags` are those beyond the usual."""

    socket: Path
    address: Address


@asynccontextmanager
async def engine(stand: Stand, *flags: str, sequences: int = 0) -> AsyncIterator[Engine]:
    """An engine alone, ready."""
    if stand.shared and not flags:
        yield Engine(stand.shared, Address(f"unix:{stand.shared}", stand.kind.model))
        return
    place = stand.place()
    if stand.kind is REAL:
        async with engine_ratio.engine(place, *flags) as socket:
            yield Engine(socket, Address(f"unix:{socket}", stand.kind.model))
        return
    socket, log = place / "engine.sock", place / "engine.log"
    argv = [sys.executable, "-m", "tests.bench.overload.h100", "--uds", str(socket), *flags]
    argv += ["--max-num-seqs", str(sequences or stand.kind.sequences)]
    async with running(argv, log) as process:
        await wait_ready(process, log, f"unix:{socket}", "/health", _START_S)
        yield Engine(socket, Address(f"unix:{socket}", stand.kind.model))


@dataclass(frozen=True, slots=True)
class House:
    """seekserve, ready, and what it logs."""

    address: Address
    log: Path

    def waits(self) -> list[tuple[float, float]]:
        """(expected, found) seconds of everybody who waited and was then served."""
        lines = (line for line in self.log.read_text().splitlines() if line.startswith("{"))
        told = [json.loads(line) for line in lines]
        return [
            (one["expected_s"], one["queue_s"])
            for one in told
            if one.get("queue_s") and one.get("expected_s")
        ]


@asynccontextmanager
async def house(stand: Stand, engine: Engine, sequences: int = 0) -> AsyncIterator[House]:
    """seekserve in front of a running engine, as it is shipped but for the classes' targets."""
    place = stand.place()
    tier, log, port = place / "overload.yaml", place / "output.log", free_port()
    sequences = sequences or stand.kind.sequences
    tier.write_text(_TIER.format(running=sequences, target_s=stand.kind.target_s))
    argv = [sys.executable, "-m", "seekserve", "serve", "--tier", str(tier), "--port", str(port)]
    argv += ["--engine", f"unix:{engine.socket}", "--log-format", "json"]
    address = f"127.0.0.1:{port}"
    async with running(argv, log, stand.state) as process:
        await wait_ready(process, log, address, "/health/ready", _START_S)
        yield House(Address(address, stand.kind.model, stand.bearers), log)


def flags(**given: int) -> Sequence[str]:
    """vLLM's options by name: max_num_queued_reqs=9 -> --max-num-queued-reqs 9."""
    return [
        part
        for name, value in given.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]

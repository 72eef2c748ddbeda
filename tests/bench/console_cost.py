"""What watching costs those who are served: `python -m tests.bench.console_cost [--consoles 20]`.

One server in front of one mock engine, under load with so many consoles open and with none, in turn, round
after round, in an order that turns too. Once at 2,000 chunks a second, which is what a busy engine sends:
there the processor's time tells; and once as fast as it goes, where streams a second do.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.contestants import (
    KEY,
    Contestant,
    Running,
    Setting,
    contestant,
    seekserve,
    upstream,
)
from tests.bench.launch import NotStartedError
from tests.bench.load import Work
from tests.bench.measure import cpu_seconds
from tests.bench.rounds import Sample, Workload, turn

_WORK: Final = partial(Work, address="", key=KEY, timeout_s=60.0)
PACED: Final = Workload(
    "paced",
    "40 streams of 50 chunks/s each: 2,000 chunks/s",
    _WORK(connections=40, streams_each=1, ramp_s=0.5, pace_ms=20, tokens=250),
    1,
    6,
)
UNPACED: Final = Workload(
    "unpaced",
    "64 streams of 100 chunks at once, as fast as they go",
    _WORK(connections=64, seconds=4.0, nap_ms=1.0),
    1,
    5,
)
LOADS: Final = (PACED, UNPACED)
REST_S: Final = 3.0


@dataclass
class Lane:
    """With so many consoles open: what each round of each load came to, and seconds of CPU at rest."""

    consoles: int
    rest: list[float] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(
        default_factory=lambda: {one.kind: [] for one in LOADS}
    )


@asynccontextmanager
async def watched(address: str, own: str, count: int) -> AsyncIterator[list[int]]:
    """So many consoles, which read all they are told. Yields how many bytes each was told so far."""
    host, _, port = address.partition(":")
    asked = (
        f"GET /console/api/live HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {own}\r\n\r\n"
    )
    told, readers = [0] * count, []
    async with AsyncExitStack() as stack:
        for number in range(count):
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.close)
            writer.write(asked.encode())
            readers.append(asyncio.create_task(_read(reader, told, number)))
        while not all(told):
            await asyncio.sleep(0.05)
        try:
            yield told
        finally:
            for task in readers:
                task.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, told: list[int], number: int) -> None:
    while part := await reader.read(1 << 16):
        told[number] += len(part)


async def _measured(made: Running, own: str, rounds: int, lanes: list[Lane]) -> None:
    for number in range(rounds):
        for lane in lanes[number % 2 :] + lanes[: number % 2]:
            async with watched(made.address, own, lane.consoles) as told:
                before = sum(told)
                for load in LOADS:
                    sample = await turn(load, made.address, made.pid)
                    if sample.result.failed:
                        raise NotStartedError(f"{load.kind}: {sample.result.error}")
                    lane.samples[load.kind].append(sample)
                spent = cpu_seconds(made.pid)
                await asyncio.sleep(REST_S)
                lane.rest.append((cpu_seconds(made.pid) - spent) / REST_S)
                if lane.consoles and sum(told) == before:
                    raise NotStartedError("the consoles were told nothing")


def _pass(folder: Path) -> str:
    """As `seekserve console` gets it."""
    (sock,) = folder.rglob("ops.sock")
    transport = httpx.HTTPTransport(uds=str(sock))
    with httpx.Client(transport=transport, base_url="http://ops") as ops:
        own: str = ops.get("/console").json()["pass"]
        return own


async def _run(rounds: int, consoles: int, console: Console) -> None:
    lanes = [Lane(0), Lane(consoles)]
    with tempfile.TemporaryDirectory(prefix="bench-") as there:
        folder = Path(there)
        async with AsyncExitStack() as stack:
            engine, _ = await stack.enter_async_context(upstream(folder))
            setting = Setting(engine, folder, folder)
            ours = Contestant("seekserve", "", seekserve)
            made = await stack.enter_async_context(contestant(ours, setting))
            await _measured(made, _pass(folder), rounds, lanes)
    _print(lanes, console)


def _print(lanes: list[Lane], console: Console) -> None:
    """Against none, as the median of what each round said, and how far rounds were apart."""
    columns = (
        "consoles",
        "streams/s",
        "ratio (rounds)",
        "CPU µs a chunk",
        "ratio",
        "p99 first token",
    )
    for load in LOADS:
        table = Table(*columns, title=load.about, title_justify="left")
        none = lanes[0].samples[load.kind]
        for lane in lanes:
            own = lane.samples[load.kind]
            rates = [mine.rate / other.rate for mine, other in zip(own, none, strict=True)]
            costs = [mine.cpu_us / other.cpu_us for mine, other in zip(own, none, strict=True)]
            table.add_row(
                str(lane.consoles),
                f"{statistics.median(one.rate for one in own):,.1f}",
                f"{statistics.median(rates):.4f} ({min(rates):.3f}-{max(rates):.3f})",
                f"{statistics.median(one.cpu_us for one in own):.2f}",
                f"{statistics.median(costs):.3f}",
                f"{statistics.median(one.ttft_ms(0.99) for one in own):.1f} ms",
            )
        console.print(table)
    for lane in lanes:
        console.print(
            f"at rest, {lane.consoles} consoles: {statistics.mean(lane.rest):.2%} of a core"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.console_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--consoles", type=int, default=20)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options.rounds, options.consoles, Console(width=110)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

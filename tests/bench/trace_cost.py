"""What traces cost a request and a chunk: `python -m tests.bench.trace_cost [--before OTHER/server]`.

First the parts by themselves, in microseconds. Then whole servers side by side in front of one mock
engine, in turn, round after round: spans off, spans sent to a collector that takes them, and to one
that never answers; and, where given, the server of another checkout. The load sends no trace context,
so that with spans on every request is sampled.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from rich.console import Console
from rich.table import Table

from seekserve.gateway.context import read
from seekserve.gateway.otlp import Otlp
from seekserve.gateway.record import Trace
from seekserve.log import Log
from tests.bench.contestants import (
    KEY,
    Command,
    Contestant,
    Setting,
    contestant,
    seekserve,
    upstream,
)
from tests.bench.launch import NotStartedError
from tests.bench.load import Work
from tests.bench.rounds import Workload, turn
from tests.collector import collector

TIMES: Final = 200
MICRO_ROUNDS: Final = 15
IDLE: Final = {  # its thread, which else takes its share of the interpreter, comes at the end
    "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",
}
PARENT: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
USUAL: Final = [
    (name, b"x" * 12)
    for name in (b"host", b"user-agent", b"accept", b"accept-encoding", b"content-type")
] + [(b"authorization", b"Bearer " + b"k" * 43), (b"content-length", b"812")]
CLIENT: Final = [*USUAL, (b"traceparent", PARENT), (b"tracestate", b"congo=t61rcWkgMzE")]

_WORK: Final = partial(Work, address="", key=KEY, timeout_s=60.0)
REQUESTS: Final = Workload(
    "unpaced", "short answers, as fast as they go", _WORK(connections=32, tokens=4, seconds=3), 1, 4
)
CHUNKS: Final = Workload(
    "paced",
    "128 streams of 300 chunks",
    _WORK(connections=128, streams_each=1, ramp_s=1.0, pace_ms=20, tokens=300),
    1,
    8,
)


@dataclass
class Lane:
    """One server in the run, and what its turns came to: µs of CPU a request, and a chunk."""

    name: str
    environ: dict[str, str]
    requests: list[float] = field(default_factory=list)
    chunks: list[float] = field(default_factory=list)


def _ended(number: int) -> Trace:
    """A streamed chat that has ended, as the relay leaves it."""
    now = time.perf_counter()
    trace = Trace("given", now - 3, f"{number:032x}", method="POST", path="/v1/chat/completions")
    trace.route, trace.model, trace.key, trace.key_class = "chat", "deepseek-v3", "ann", "public"
    trace.status, trace.finish, trace.streams, trace.most = 200, "stop", True, 512
    trace.first_at, trace.tokens = now - 2, {"prompt": 900, "cached": 512, "completion": 340}
    return trace


def _walked(trace: Trace) -> None:
    one = trace.turn(trace.started, "first")
    if one.context:
        one.context.headers()
    one.placed, one.began, one.ended = trace.started + 0.1, trace.started + 1, trace.started + 3


def _per_call(step: Callable[[Trace], object], traces: Callable[[], list[Trace]]) -> float:
    """Microseconds, in the best of the rounds: what is more is the machine's."""
    costs = []
    for _ in range(MICRO_ROUNDS):
        some = traces()
        begun = time.perf_counter()
        for trace in some:
            step(trace)
        costs.append((time.perf_counter() - begun) / len(some) * 1e6)
    return min(costs)


def _parts(spans: Otlp) -> Iterator[tuple[str, float]]:
    def plain() -> list[Trace]:
        return [_ended(n) for n in range(TIMES)]

    def told() -> list[Trace]:
        made = plain()
        for trace in made:
            trace.parent = read(CLIENT)
        return made

    def placed() -> list[Trace]:
        made = told()
        for trace in made:
            trace.context = spans.enter(trace.parent, trace.engine_id)
        return made

    def walked() -> list[Trace]:
        made = placed()
        for trace in made:
            _walked(trace)
        return made

    yield "off: headers without a context are read", _per_call(lambda t: read(USUAL), plain)
    yield "off: headers with a context are read", _per_call(lambda t: read(CLIENT), plain)
    yield "off: a try, without a context", _per_call(_walked, plain)
    yield "off: a try, the client's context sent on", _per_call(_walked, told)
    yield (
        "on: the request's place is found",
        _per_call(lambda t: spans.enter(t.parent, t.engine_id), told),
    )
    yield "on: a try, a context of its own sent", _per_call(_walked, placed)
    yield (
        "on: four spans made and queued at the end",
        _per_call(lambda t: spans.settle(t, 3), walked),
    )
    yield "on, in the SDK's thread: four spans encoded", _encoded(spans, walked())


def _encoded(spans: Otlp, traces: list[Trace]) -> float:
    made = [span for trace in traces for span in spans.readable(trace, 3)]
    costs = []
    for _ in range(MICRO_ROUNDS):
        begun = time.perf_counter()
        encode_spans(made).SerializeToString()
        costs.append((time.perf_counter() - begun) / len(traces) * 1e6)
    return min(costs)


async def _micro(console: Console) -> None:
    table = Table("the parts, by themselves", f"µs a request, best of {MICRO_ROUNDS}")
    with collector() as made, _environ({"OTEL_EXPORTER_OTLP_ENDPOINT": made.endpoint} | IDLE):
        async with Otlp(Log(sink=lambda line: None)) as spans:
            for what, cost in _parts(spans):
                table.add_row(what, f"{cost:.2f}")
    console.print(table)


@contextmanager
def _environ(more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _started(lane: Lane) -> Contestant:
    def command(setting: Setting, port: int) -> Command:
        plain = seekserve(setting, port)
        return Command(plain.argv, plain.ready, env={**(plain.env or {}), **lane.environ})

    return Contestant(lane.name, "", command)


def _lanes(stack: ExitStack, before: str | None) -> list[Lane]:
    takes, hangs = (stack.enter_context(collector()) for _ in range(2))
    hangs.flow.clear()
    to = "OTEL_EXPORTER_OTLP_ENDPOINT"
    lanes = [
        Lane("spans off", {}),
        Lane("spans sent", {to: takes.endpoint}),
        Lane("spans to one that hangs", {to: hangs.endpoint}),
    ]
    if before:
        lanes.insert(0, Lane("before", {"PYTHONPATH": before}))
    return lanes


async def _servers(rounds: int, before: str | None, console: Console) -> None:
    with ExitStack() as outer:
        lanes = _lanes(outer, before)
        folder = Path(outer.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        async with AsyncExitStack() as stack:
            engine, _ = await stack.enter_async_context(upstream(folder))
            running = []
            for number, lane in enumerate(lanes):
                setting = Setting(engine, folder / str(number), folder)
                made = await stack.enter_async_context(contestant(_started(lane), setting))
                running.append((lane, made))
            for number in range(rounds):
                for lane, made in (
                    running[number % len(running) :] + running[: number % len(running)]
                ):
                    short = await turn(REQUESTS, made.address, made.pid)
                    lane.requests.append(short.cpu_s / max(1, short.result.streams) * 1e6)
                    lane.chunks.append((await turn(CHUNKS, made.address, made.pid)).cpu_us)
                    if short.result.failed:
                        raise NotStartedError(f"{lane.name}: {short.result.error}")
    _print(lanes, console)


def _print(lanes: list[Lane], console: Console) -> None:
    """Against the first, as the median of what each round said."""
    table = Table("whole server", "CPU µs a request (4 chunks)", "", "CPU µs a chunk (of 300)", "")
    for lane in lanes:
        row = [lane.name]
        for own, first in ((lane.requests, lanes[0].requests), (lane.chunks, lanes[0].chunks)):
            ratio = statistics.median(mine / other for mine, other in zip(own, first, strict=True))
            row += [f"{statistics.median(own):.1f}", f"{ratio:.2f}x"]
        table.add_row(*row)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.trace_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", metavar="DIR", help="the server/ of a checkout to compare with")
    parser.add_argument("--parts", action="store_true", help="the parts alone")
    options = parser.parse_args()
    console = Console(width=110)
    asyncio.run(_micro(console))
    if not options.parts:
        asyncio.run(_servers(options.rounds, options.before, console))
    return 0


if __name__ == "__main__":
    sys.exit(main())

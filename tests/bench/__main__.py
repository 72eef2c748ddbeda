"""`python -m tests.bench`: start everybody, take turns, print one table."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from . import contestants, engine_ratio, measure, rivals
from .contestants import NO_PROXY, Contestant, Running, Setting
from .launch import NotStartedError
from .rounds import FULL, QUICK, Workload, turn
from .table import Row, as_json, render

_BUDGET_S: Final = 420.0
_FILES: Final = 8192
_WIDTH: Final = 122
# A turn this much longer than it should be is not repeated: one figure, and time for the rest.
_TOO_SLOW: Final = 2.5


@dataclass(slots=True)
class Lane:
    """A contestant in the running: where it answers, its process, its row."""

    row: Row
    address: str
    pid: int | None
    slow: set[str] = field(default_factory=set)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of half a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    parser.add_argument(
        "--rivals-venv",
        type=Path,
        metavar="DIR",
        default=rivals.default_folder(),
        help="where the rivals from PyPI live; made when missing",
    )
    parser.add_argument("--no-install", action="store_true", help="run with what is there")
    parser.add_argument("--with-litellm", action="store_true", help="install and run LiteLLM too")
    parser.add_argument("--engine", action="store_true", help="the demo engine with and without")
    return parser.parse_args(argv)


def _entrants(options: argparse.Namespace) -> list[Contestant]:
    few = [contestants.SEEKSERVE, contestants.NGINX, contestants.VLLM_ROUTER]
    if options.quick:
        return [*few, *([contestants.LITELLM] if options.with_litellm else [])]
    return [*few, contestants.SEEKSERVE_TCP, contestants.LITELLM]


async def _enter(
    stack: contextlib.AsyncExitStack, which: Contestant, setting: Setting
) -> Running | str:
    """The contestant, running until the stack closes; or why it does not."""
    try:
        return await stack.enter_async_context(contestants.contestant(which, setting))
    except NotStartedError as error:
        return str(error)


async def _lanes(
    stack: contextlib.AsyncExitStack, options: argparse.Namespace, folder: Path, console: Console
) -> tuple[list[Lane], list[Row]]:
    """Everybody who runs, and every row, the absent ones too."""
    engine, _ = await stack.enter_async_context(contestants.upstream(folder))
    direct = Row(NO_PROXY, "TCP to the mock engine: 1 process, 1 thread")
    lanes, rows = [Lane(direct, f"127.0.0.1:{engine.port}", None)], [direct]
    with console.status("Starting the contestants …"):
        for place, which in enumerate(_entrants(options)):
            row = Row(which.name, which.given)
            rows.append(row)
            setting = Setting(engine, folder / str(place), options.rivals_venv)
            found = await _enter(stack, which, setting)
            if isinstance(found, str):
                row.absent = found
                continue
            row.idle = measure.memory(found.pid)
            lanes.append(Lane(row, found.address, found.pid))
    return lanes, rows


async def _rounds(lanes: list[Lane], workloads: Sequence[Workload], progress: Progress) -> None:
    """Round after round, every contestant in turn; who begins moves on each round."""
    began = time.monotonic()
    turns = sum(workload.rounds for workload in workloads) * len(lanes)
    bar = progress.add_task("", total=turns)
    for number in range(max(workload.rounds for workload in workloads)):
        for workload in workloads:
            if number >= workload.rounds:
                continue
            for lane in lanes[number % len(lanes) :] + lanes[: number % len(lanes)]:
                about = f"round {number + 1}, {workload.kind}: {lane.row.name}"
                progress.update(bar, description=about, advance=1)
                if workload.kind not in lane.slow:
                    await _turn(lane, workload)
        if time.monotonic() - began > _BUDGET_S * (number + 1) / (number + 2):
            progress.console.print(f"Out of time after {number + 1} rounds.")
            return


async def _turn(lane: Lane, workload: Workload) -> None:
    began = time.monotonic()
    lane.row.samples.append(await turn(workload, lane.address, lane.pid))
    if time.monotonic() - began > _TOO_SLOW * workload.usual_s:
        lane.slow |= {"short", "paced"} if workload.kind == "short" else {workload.kind}


async def bench(options: argparse.Namespace, console: Console) -> list[Row]:
    """The whole run: install, start, take turns, stop."""
    programs = ["vllm-router", *(["litellm"] if options.with_litellm else [])]
    if not options.no_install:
        reason = await rivals.install(options.rivals_venv, programs, console)
        if reason:
            console.print(f"[yellow]Could not install the rivals:[/yellow] {reason}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async with contextlib.AsyncExitStack() as stack:
            lanes, rows = await _lanes(stack, options, Path(name), console)
            with Progress(*columns, console=console, transient=True) as progress:
                await _rounds(lanes, QUICK if options.quick else FULL, progress)
        if options.engine:
            try:
                pairs = await engine_ratio.pairs(Path(name), 1 if options.quick else 5, console)
                rows[0].tokens_per_s, rows[1].tokens_per_s = pairs
            except NotStartedError as error:  # the other rows are measured: they are printed
                rows[1].samples[0].result.error = f"demo engine: {error}"
                rows[1].samples[0].result.failed += 1
    return rows


def _report(rows: list[Row], options: argparse.Namespace, console: Console) -> int:
    """Print the table; 1 when seekserve did not run or lost a chunk, which no noise excuses."""
    console.print(render(rows, QUICK if options.quick else FULL))
    for row in rows:
        if row.error or row.absent:
            console.print(f"{row.name}: {row.absent or row.error}", style="yellow", markup=False)
    if options.json:
        machine: dict[str, Any] = {"cores": os.cpu_count(), "system": platform.platform()}
        text = json.dumps({"machine": machine, "quick": options.quick, "rows": as_json(rows)})
        options.json.write_text(text)
    ours = next(row for row in rows if row.name == contestants.SEEKSERVE.name)
    return int(bool(ours.absent or ours.lost or ours.failed))


async def _until_told(options: argparse.Namespace, console: Console) -> list[Row]:
    """SIGTERM ends the run as Ctrl-C does: by cancelling, so that everything is stopped."""
    task = asyncio.create_task(bench(options, console))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main() -> int:
    """Parse, run, report."""
    options = _options(sys.argv[1:])
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)  # into a pipe: wide enough for the table's rows
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        rows = asyncio.run(_until_told(options, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped; nothing is left running.")
        return 130
    return _report(rows, options, console)


if __name__ == "__main__":
    sys.exit(main())

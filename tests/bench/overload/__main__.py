"""`python -m tests.bench.overload [--engine fake|real] [--quick] [--json FILE]`: one table.

Exit code 1 when a bar is missed, or a figure could not be taken; with --quick only for the latter.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console

from tests.bench.launch import NotStartedError

from . import scenarios
from .clients import Lagged
from .decision import decision
from .rows import Row, missing, render
from .runs import FULL, QUICK, REAL_SPANS, Bench, measure_capacity
from .scenarios import Scenario
from .stand import FAKE, REAL, Stand, engine
from .trace import Mix

_WIDTH: Final = 160
_FILES: Final = 20_000
_MIXES: Final = {
    FAKE.name: Mix(),
    REAL.name: Mix((30, 200), 1000, 0.1, 48, 12, bytes_per_token=2.5),
}


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.overload", description=__doc__)
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--quick", action="store_true", help="a smoke run: too short for figures")
    parser.add_argument("--only", help="scenarios whose name contains this")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    return parser.parse_args(argv)


async def _rows(what: str, scenario: Scenario, bench: Bench) -> list[Row]:
    try:
        return await scenario(bench)
    except (Lagged, NotStartedError, OSError) as error:
        return [missing(what, str(error))]


async def bench(
    options: argparse.Namespace, folder: Path, console: Console
) -> tuple[str, list[Row]]:
    """Keys first, then the engine that all share where it is slow to start, then the scenarios."""
    stand = Stand(folder, FAKE if options.engine == "fake" else REAL)
    await stand.make_keys()
    if stand.kind is FAKE:
        return await _scenarios(options, stand, console)
    async with engine(stand) as shared:
        stand.shared = shared.socket
        return await _scenarios(options, stand, console)


async def _scenarios(
    options: argparse.Namespace, stand: Stand, console: Console
) -> tuple[str, list[Row]]:
    """Capacity, then every scenario in turn."""
    kind, mix = stand.kind, _MIXES[stand.kind.name]
    spans = QUICK if options.quick else FULL if kind is FAKE else REAL_SPANS
    capacity = await measure_capacity(stand, mix, spans)
    about = (
        f"{kind.name}, {kind.sequences} sequences; full, it ends {capacity.per_s:.1f} requests a second "
        f"and reads {capacity.read_per_s:.0f} tokens; target {kind.target_s:g} s to the first token"
    )
    console.print(about)
    say: Callable[[str], None] = lambda line: console.print(f"  {line}", style="dim")  # noqa: E731
    run = Bench(stand, mix, spans, capacity, say)
    rows = []
    for what, scenario in (scenarios.FAKE if kind is FAKE else scenarios.REAL).items():
        if not options.only or options.only in what:
            console.print(what)
            rows += await _rows(what, scenario, run)
    return about, rows


def _report(about: str, rows: list[Row], options: argparse.Namespace, console: Console) -> int:
    console.print(render(rows, about))
    if options.json:
        machine: dict[str, Any] = {"cores": os.cpu_count(), "system": platform.platform()}
        told = {"machine": machine, "about": about, "quick": options.quick}
        options.json.write_text(json.dumps(told | {"rows": [asdict(row) for row in rows]}))
    if options.quick:
        return int(any(row.told == "no figure" for row in rows))
    return int(any(row.met is False for row in rows))


def main() -> int:
    """Parse, run, report."""
    options = _options(sys.argv[1:])
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            about, rows = uvloop.run(bench(options, Path(name), console))
    except (KeyboardInterrupt, NotStartedError) as error:
        console.print(f"No figures: {error or 'stopped'}", markup=False)
        return 1
    if options.engine == "fake" and not options.only:
        rows.append(decision())
    return _report(about, rows, options, console)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.chaos [run|figures|schedule|soak]`: ends with 1 when a bar is missed."""

from __future__ import annotations

import argparse
import signal
import sys
from random import SystemRandom

import uvloop
from rich.console import Console

from tests.chaos import chaos, figures, report, schedule, soak
from tests.chaos.stage import Kind
from tests.chaos.verdict import verdict


def ran(console: Console, seed: int, minutes: float, kind: Kind) -> bool:
    report.planned(console, seed, schedule.schedule(seed, minutes * 60, kind))
    run = uvloop.run(chaos.run(seed, minutes * 60, kind))
    return report.told(console, run, verdict(run))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="run", choices=("run", "figures", "schedule", "soak")
    )
    parser.add_argument("--seed", type=int, help="of the schedule; default: any")
    parser.add_argument("--minutes", type=float, help="default: 5, and 60 of a soak")
    parser.add_argument("--engine", choices=("real", "fake"), default="real")
    parser.add_argument(
        "--only", nargs="*", default=(), help=f"figures: {', '.join(figures.MEASURES)}"
    )
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else SystemRandom().randrange(10_000)
    console, minutes = Console(), asked.minutes or 5.0
    # Else its server and its disk stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    match asked.what:
        case "figures":
            well = report.figures(console, uvloop.run(figures.measured(asked.only)))
        case "schedule":
            report.planned(console, seed, schedule.schedule(seed, minutes * 60, asked.engine))
            well = True
        case "soak":
            well = soak.soaked(console, asked.minutes or 60.0)
        case _:
            well = ran(console, seed, minutes, asked.engine)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

"""Every target for some minutes, then a table: `python -m tests.fuzz --minutes 10 [--only NAME ...]`.

The byte-level targets run under atheris, each in a process of its own that is started again after a
finding; then every endpoint of a real server is asked. Findings stay in
build/fuzz. Ends with 1 if there are any.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import live
from tests.fuzz.targets import TARGETS

OUT = Path("build/fuzz")
SPARE_S = 300
"""Beyond its own limit, before a fuzzer that does not end is ended: it is slow to begin on a busy machine."""


@dataclass
class Row:
    """What one target came to."""

    name: str
    runs: int = 0
    crashes: int = 0
    hangs: int = 0
    ours: int | None = None

    @property
    def clean(self) -> bool:
        return bool(self.runs) and not (self.crashes or self.hangs or self.ours)

    def __str__(self) -> str:
        ours = "-" if self.ours is None else str(self.ours)
        return f"{self.name:<28}{self.runs:>12,}{self.crashes:>9}{self.hangs:>7}{ours:>10}"


def fuzzed(name: str, seconds: float) -> Row:
    """Starts the target again after each finding, until its time is over."""
    row, end = Row(name), time.monotonic() + seconds
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        while (left := end - time.monotonic()) > 1:
            code, said = _run(name, int(left) + 1, folder, log)
            told = re.findall(r"number_of_executed_units: (\d+)", said)
            row.runs += int(told[0]) if told else 0
            if code == 0:
                break
            hung = "timeout" in said.rpartition("SUMMARY:")[2] or code == -9
            row.hangs, row.crashes = row.hangs + hung, row.crashes + (not hung)
            print(f"{name}: {_place(said)}", flush=True)
    return row


def _run(name: str, seconds: int, folder: Path, log: object) -> tuple[int, str]:
    words = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(folder)]
    began = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = began.communicate(timeout=seconds + SPARE_S)
    except subprocess.TimeoutExpired:
        began.kill()
        said, _ = began.communicate()
    print(said[-20_000:], file=log, flush=True)  # type: ignore[call-overload]
    return began.returncode, said


def _place(said: str) -> str:
    """Where it went wrong and which file shows it."""
    line = re.findall(r'^ *File "([^"]+)", line (\d+)', said, re.M)
    why = re.findall(r"^(\w+(?:Error|Exception|Upgrade)\b.*)$", said, re.M)
    kept = re.findall(r"Test unit written to (\S+)", said)
    where = ":".join(line[-1]) if line else "?"
    return f"{why[-1][:200] if why else 'no exception'} at {where}; {kept[-1] if kept else ''}"


def asked(seconds: float) -> list[Row]:
    rows = live.run(seconds, OUT)
    return [Row(name, *counts) for name, counts in rows.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--only", nargs="*", default=[], help=f"{', '.join(TARGETS)}, live")
    wanted = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print('atheris is not installed: pip install -e ".[fuzz]"')
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    seconds, rows = wanted.minutes * 60, []
    for name in TARGETS:
        if not wanted.only or name in wanted.only:
            rows.append(fuzzed(name, seconds))
            print(rows[-1], flush=True)
    if not wanted.only or "live" in wanted.only:
        rows += asked(seconds)
    print(f"\n{'target':<28}{'runs':>12}{'crashes':>9}{'hangs':>7}{'own 5xx':>10}")
    print("\n".join(map(str, rows)))
    return 0 if all(row.clean for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

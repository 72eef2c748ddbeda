"""What an engine's log lines mean: which stage a start has reached, and why one failed. Pure.

The patterns are vLLM 0.32's and 0.33's own log messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seekserve.plan.promise import KV_TOKENS, WEIGHTS_GIB

STAGES = ("launch", "configure", "download", "load", "compile", "warm-up", "serve")

_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "configure",
        re.compile(r"Initializing a V1 LLM engine|Resolved architecture|vLLM API server"),
    ),
    ("download", re.compile(r"Downloading|Fetching \d+ files|Time spent downloading")),
    ("load", re.compile(r"Starting to load model|Loading (safetensors|weights)")),
    (
        "compile",
        re.compile(r"Dynamo bytecode|torch\.compile takes|Compiling a graph|Cache the graph"),
    ),
    ("warm-up", re.compile(r"Model loading took|KV cache|[Ww]arming up|Capturing|init engine")),
    ("serve", re.compile(r"Starting vLLM server|Started server process|Application startup")),
)
_PERCENT = re.compile(r"(\d{1,3})%")


@dataclass(frozen=True, slots=True)
class Step:
    """A stage reached, with its share done (0..1) where the line says it."""

    stage: str
    share: float | None = None


def read(line: str, reached: str) -> Step | None:
    """The step this line marks, or None. A start never goes back to an earlier stage."""
    if reached not in STAGES:
        return None
    for stage, sign in _SIGNS:
        if sign.search(line) and STAGES.index(stage) >= STAGES.index(reached):
            percent = _PERCENT.search(line)
            return Step(stage, min(1.0, int(percent[1]) / 100) if percent else None)
    return None


_FIGURES = (
    (KV_TOKENS, re.compile(r"KV cache size: ([\d,]+) tokens")),
    (WEIGHTS_GIB, re.compile(r"Model loading took ([\d.]+) GiB")),
)


def figure(line: str) -> tuple[str, float] | None:
    """What the engine says it came to: its cache in tokens, its weights in GiB on one device."""
    for name, sign in _FIGURES:
        if found := sign.search(line):
            return name, float(found[1].replace(",", ""))
    return None


_PREFIX = re.compile(r"^(\(\w+ pid=\d+\) )?((ERROR|INFO|WARNING) [\d-]+ [\d:]+ \[[^\]]+\] ?)?")
_RAISED = re.compile(r"^[\w.]*(Error|Exception|Exit|Interrupt|Killed)\b|\berror: |^Fatal |^usage:")
_STACK = re.compile(
    r"^Traceback|^\s*File \"|^\s*[\^~]+\s*$|^    |ulimit|^The above exception|^During handling"
)
FOLLOW = 3


def last_useful(lines: Sequence[str], most: int = 8) -> list[str]:
    """The lines worth showing a person: each distinct error with what follows it, else the last ones.

    Stack frames are left out: they are in the log file for whoever wants them.
    """
    bare = [_PREFIX.sub("", line) for line in lines]
    plain = [line for line in bare if line.strip() and not _STACK.search(line)]
    raised = [i for i, line in enumerate(plain) if _RAISED.search(line)]
    chosen = [line for i in raised for line in plain[i : i + FOLLOW]] or plain
    return [line.strip()[:300] for line in list(dict.fromkeys(chosen))[-most:]]

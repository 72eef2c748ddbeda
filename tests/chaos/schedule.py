"""Which fault comes when, from a seed alone. Pure: the same seed is the same schedule, to the last digit.

Three lines of faults run beside each other: engines', the server's own (its files, its disk), and clients'.
Within a line kinds are dealt from a shuffled pack, so that each comes up before any comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Line = Literal["engine", "server", "client"]
Kind = Literal["real", "fake"]

ENGINE: dict[Kind, tuple[str, ...]] = {
    "real": ("kill-leader", "kill-worker", "stop-worker", "stop-group", "unlink-socket"),
    "fake": ("kill", "stop", "hang", "refuse", "garbage", "unlink-socket"),
}
SERVER = ("reload", "disk-full")
CLIENT = ("slow-readers", "storm", "half-open", "resets")
GARBAGE = ("html", "truncated_json", "half_event", "not_http", "html_502", "odd_events", "bad_json")
GAPS_S: dict[Kind, tuple[float, float]] = {"real": (30.0, 45.0), "fake": (6.0, 12.0)}
"""Between two faults of engines: a real one takes half a minute to come back."""
OTHER_GAPS_S = (4.0, 9.0)
FIRST_S, LAST_S = 2.0, 5.0
"""What is left in peace at the beginning, and at the end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`at` is in seconds from the start; `engine` and `shade` matter to some kinds only."""

    at: float
    line: Line
    kind: str
    engine: int = 0
    shade: str = ""

    def __str__(self) -> str:
        where = f" engine-{self.engine}" if self.line == "engine" else ""
        return f"{self.at:7.1f} s  {self.kind}{where} {self.shade}".rstrip()


def schedule(seed: int, seconds: float, kind: Kind) -> tuple[Fault, ...]:
    """In the order of their moments."""
    lines: tuple[tuple[Line, Sequence[str], tuple[float, float]], ...] = (
        ("engine", ENGINE[kind], GAPS_S[kind]),
        ("server", SERVER, OTHER_GAPS_S),
        ("client", CLIENT, OTHER_GAPS_S),
    )
    faults = [
        fault
        for number, (line, kinds, gaps) in enumerate(lines)
        for fault in _dealt(Random(seed * 10 + number), line, kinds, gaps, seconds)
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _dealt(
    chance: Random, line: Line, kinds: Sequence[str], gaps: tuple[float, float], seconds: float
) -> Iterator[Fault]:
    at, pack = FIRST_S + chance.uniform(0, gaps[0] / 2), list[str]()
    while at < seconds - LAST_S:
        pack = pack or chance.sample(kinds, len(kinds))
        fault = Fault(round(at, 1), line, pack.pop(), chance.randrange(2), chance.choice(GARBAGE))
        yield fault if fault.kind == "garbage" else Fault(fault.at, line, fault.kind, fault.engine)
        at += chance.uniform(*gaps)

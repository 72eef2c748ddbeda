"""What is written down of each request, and of what was done to the server meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.asks import Ask
from tests.chaos.line import Heard
from tests.chaos.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Record:
    """Times are monotonic seconds; `deadline_s` is counted from `sent`."""

    id: str
    ask: Ask
    key_class: str
    sent: float
    ended: float
    deadline_s: float
    outcome: Outcome
    moments: tuple[float, ...] = ()

    @property
    def late(self) -> bool:
        return self.ended - self.sent > self.deadline_s

    def silence_at(self, moment: float) -> tuple[float, float] | None:
        """From which piece of its answer to which it was silent around a moment."""
        before = [at for at in self.moments if at <= moment]
        after = [at for at in self.moments if at > moment]
        return (before[-1], after[0]) if before and after else None

    @classmethod
    def of(
        cls,
        id_: str,
        ask: Ask,
        key_class: str,
        times: tuple[float, float, float],
        heard: Heard,
        outcome: Outcome,
    ) -> Record:
        return cls(id_, ask, key_class, *times, outcome, tuple(heard.moments))


@dataclass(slots=True)
class Stroke:
    """A fault as it was done. `engine` is its number where it hit one; `fenced_at` when the server no
    longer counted on that engine, `last_token` what came of it last, `back_at` when it was ready again.
    """

    kind: str
    at: float
    engine: int | None = None
    fenced_at: float | None = None
    last_token: float | None = None
    back_at: float | None = None
    note: str = ""

    @property
    def fence_s(self) -> float | None:
        if self.fenced_at is None:
            return None
        return self.fenced_at - (self.last_token if self.last_token is not None else self.at)

    @property
    def back_s(self) -> float | None:
        return None if self.back_at is None else self.back_at - self.at


Span = tuple[float, float]


@dataclass(slots=True)
class Left:
    """What was still there after the load, beyond what was before it."""

    places: float = 0
    queued: float = 0
    in_flight: float = 0
    tasks: float = 0
    client_sockets: int = 0
    engine_sockets: int = 0
    engine_requests: float = 0


@dataclass(slots=True)
class Run:
    """Everything that a verdict is made of. `down` are the spans in which each engine was not ready;
    `rows` are the ledger's: id as the client gave it, route, status, finish.
    """

    records: list[Record] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    down: dict[str, list[Span]] = field(default_factory=dict)
    unbroken: dict[str, Outcome] = field(default_factory=dict)
    left: Left = field(default_factory=Left)
    rows: list[tuple[str, str, int, str]] = field(default_factory=list)
    rows_lost: float = 0
    defects: list[str] = field(default_factory=list)
    exit_code: int | None = None
    left_out: int = 0

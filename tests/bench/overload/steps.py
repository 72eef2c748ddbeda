"""An engine's scheduler with an 8xH100 server's speeds: which request gets what in each step. Pure.

As vLLM batches: every sequence that runs makes one token a step; prompts are read in what is left of
the step's budget, those begun first, then those who wait, by priority and arrival. Time is not here:
`begin` says how long the step takes, `end` what came of it.
"""

import heapq
from dataclasses import dataclass, field
from typing import Final

EVENT_TOKENS: Final = 8
"""Tokens told of at once, after the first: a client's CPU is dearer here than an engine's."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Speeds and sizes; a step takes `step_s`, more for each sequence and each token read."""

    sequences: int = 512
    step_tokens: int = 8192
    step_s: float = 0.010
    sequence_s: float = 0.00003
    read_per_s: float = 120_000.0


@dataclass(eq=False, slots=True)
class Sequence:
    """One request, in tokens. `number` is the order of arrival; lower `rank` is more urgent."""

    prompt: int
    output: int
    number: int
    rank: int = 0
    unread: int = 0
    made: int = 0
    running: bool = False
    gone: bool = False


@dataclass(slots=True)
class Made:
    """`tokens` more of a sequence; whether they are its first, and its last."""

    sequence: Sequence
    tokens: int
    first: bool
    last: bool


@dataclass(slots=True)
class Batch:
    """Everything an engine has taken in. `unread` are the prompts of those without a first token."""

    machine: Machine = field(default_factory=Machine)
    unread: int = 0
    waiting: int = 0
    decoding: int = 0
    _line: list[tuple[int, int, Sequence]] = field(default_factory=list)
    _reading: list[Sequence] = field(default_factory=list)
    _read: list[Sequence] = field(default_factory=list)
    _due: dict[int, list[Sequence]] = field(default_factory=dict)
    _step: int = 0

    @property
    def running(self) -> int:
        return self.decoding + len(self._reading) + len(self._read)

    @property
    def unfinished(self) -> int:
        return self.running + self.waiting

    def add(self, one: Sequence) -> None:
        one.unread = one.prompt
        self.unread += one.prompt
        self.waiting += 1
        heapq.heappush(self._line, (one.rank, one.number, one))

    def drop(self, one: Sequence) -> None:
        """Its client has left."""
        if one.gone:
            return
        one.gone = True
        if not one.made:
            self.unread -= one.prompt
        if one.made:
            self.decoding -= 1
        elif not one.running:
            self.waiting -= 1
        else:
            (self._reading if one in self._reading else self._read).remove(one)

    def begin(self) -> float:
        """Fills one step; the seconds that it takes."""
        budget = self.machine.step_tokens
        for one in [*self._reading]:
            budget -= self._take(one, budget)
        while budget and self.running < self.machine.sequences and (fresh := self._next()):
            self.waiting -= 1
            fresh.running = True
            self._reading.append(fresh)
            budget -= self._take(fresh, budget)
        taken = self.machine.step_tokens - budget
        speed = self.machine
        return speed.step_s + speed.sequence_s * self.running + taken / speed.read_per_s

    def _next(self) -> Sequence | None:
        while self._line:
            one = heapq.heappop(self._line)[2]
            if not one.gone:
                return one
        return None

    def _take(self, one: Sequence, budget: int) -> int:
        taken = min(one.unread, budget)
        one.unread -= taken
        if not one.unread:
            self._reading.remove(one)
            self._read.append(one)
        return taken

    def end(self) -> list[Made]:
        """What this step made: first tokens, and of what was made lately that which is told now."""
        self._step += 1
        made = [self._more(one) for one in self._due.pop(self._step, ()) if not one.gone]
        for one in self._read:
            self.unread -= one.prompt
            self.decoding += 1
            made.append(self._told(one, 1))
        self._read = []
        return made

    def _more(self, one: Sequence) -> Made:
        return self._told(one, min(EVENT_TOKENS, one.output - one.made))

    def _told(self, one: Sequence, tokens: int) -> Made:
        first, one.made = not one.made, one.made + tokens
        if last := one.made >= one.output:
            one.gone = True
            self.decoding -= 1
        else:
            following = self._step + min(EVENT_TOKENS, one.output - one.made)
            self._due.setdefault(following, []).append(one)
        return Made(one, tokens, first, last)

"""Whether an engine still works, judged by the tokens it makes and not by what it says of itself. Pure.

In the field vLLM hangs with /health at 200 (vllm#36451, #39863). What counts is a beat: an answer's byte
that came to us, or a counter on its own page that moved. Silence with work at hand, longer than the
engine's rhythm and the prompts it reads explain, is a reason to ask it for one token; what that comes
to is for `watch` to see.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seekserve.engine.figures import Figures

LEAST_S = 5.0  # a silence shorter than this is never odd
BLIND_S = 60.0  # the same for an engine whose page has no counters
RHYTHM = 2.0  # times its longest silence of late
MOST_S = 60.0  # and no rhythm explains more
FADES = 0.95  # a look: half of it is forgotten in a quarter of a minute
IDLE_S = 60.0  # between two proofs of an engine that nobody uses
MISSES = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What those who use an engine know of it: how many requests it has, when (monotonic) it last said
    something, and until when the prompts it was given explain a silence.
    """

    requests: int = 0
    heard_at: float = 0.0
    explained_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at it found. `counters` is empty where its page has none."""

    alive: bool
    requests: int = 0
    counters: tuple[float, ...] = ()


def look_of(alive: bool, said: Figures) -> Look:
    """From its health route and its Prometheus page."""
    return Look(alive, round(min(said.requests, 1e6)), said.moving)


@dataclass
class Vigil:
    """Of one life of an engine. `beat_at` is when it was last seen working, or had nothing to do: one
    that is `doubted` has, since it owes us a token.
    """

    beat_at: float
    proved_at: float = 0.0
    missed: int = 0
    rhythm_s: float = 0.0
    requests: int = 0
    least_s: float = LEAST_S
    idle_s: float = IDLE_S
    quiet_s: float = 0.0
    doubted: bool = False
    _counters: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        self.proved_at = self.proved_at or self.beat_at

    def take(self, look: Look, seen: Seen, now: float) -> bool:
        """Whether, after this look, it should be asked for a token."""
        self.missed = 0 if look.alive else self.missed + 1
        self.requests = max(look.requests, seen.requests)
        rests = not self.requests and not self.doubted
        at = now if self._moved(look) or rests else seen.heard_at
        if at > self.beat_at:
            self._beat(at)
        else:
            self.quiet_s = self.silence_s(now)
        if self.missed >= MISSES:
            return True
        if not self.requests:
            return now - self.proved_at > self.idle_s
        return self.silence_s(now) > self.borne_s() and now > seen.explained_until

    def proved(self, now: float) -> None:
        """It has made a token."""
        self.beat_at = self.proved_at = now
        self.missed, self.quiet_s, self.doubted = 0, 0.0, False

    def first_doubt(self, since: float) -> bool:
        """Whether one that nobody uses is late for the first time: it is asked once more. It has been
        silent since it was asked, however often it was seen with nothing to do meanwhile.
        """
        first = not self.requests and not self.missed and not self.doubted
        self.beat_at = since if first else self.beat_at
        self.doubted = True
        return first

    def silence_s(self, now: float) -> float:
        return now - self.beat_at

    def borne_s(self) -> float:
        """How long a silence its rhythm explains."""
        least = self.least_s if self._counters else BLIND_S
        return max(least, min(MOST_S, RHYTHM * self.rhythm_s))

    def _moved(self, look: Look) -> bool:
        before, self._counters = self._counters, look.counters or self._counters
        return self._counters != before

    def _beat(self, at: float) -> None:
        """Its rhythm is of silences that were seen: a slow look is none of them."""
        gap = min(self.quiet_s, at - self.beat_at) if self.requests else 0.0
        self.rhythm_s = max(gap, self.rhythm_s * FADES)
        self.beat_at, self.quiet_s, self.doubted = at, 0.0, False

"""What an engine is working on for us, against what it can. Pure.

An engine batches as many sequences as it was told, holds as many tokens as its KV cache has room for,
and reads prompts at some speed. The three together keep its own queue shallow: what waits in an engine
can neither be put in order nor be refused any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from seekserve.gateway.sizes import Size

KV_SHARE = 0.95  # of the cache: estimates err, and an engine without room preempts what runs
PREFILL_WINDOW_S = 0.25  # what a prompt may find before it; below 0.1 an engine runs dry
YIELDING_WINDOW_S = 0.022  # the same for those who make room for a class that is more urgent
LEAST_LAPSE_S = 2.0
LEARN = 0.2
LEAST_PROMPT = 512  # tokens; below, a first token takes as long as it takes, whatever the prompt
SLOW = 100.0  # tokens read per second, before any speed is known: a large model on a processor
LONGEST_READ_S = 600.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of one engine. `kv` (tokens) is None where the engine does not say."""

    sequences: int
    kv: int | None = None

    def ever(self, size: Size) -> bool:
        """Whether it fits beside anything at all."""
        return self.kv is None or size.held <= self.kv * KV_SHARE


@dataclass(slots=True)
class Load:
    """Held at one engine now, in sequences and tokens; `prefill` has been sent and not yet read. `long` are
    the tokens of large prompts among what has said nothing yet, whole answers included; they explain its
    silence until `explained_until`.
    """

    sequences: int = 0
    kv: int = 0
    prefill: int = 0
    long: int = 0
    explained_until: float = 0.0
    slowest_per_s: float | None = None
    cost: int = 0
    read_per_s: float | None = None
    first_s: float = 0.0

    def fits(self, size: Size, capacity: Capacity, window_s: float = PREFILL_WINDOW_S) -> bool:
        """Whether one more goes in, behind prompts that are read in `window_s` at most."""
        if not self.has_room(size, capacity):
            return False
        return not self.prefill or self.prefill <= window_s * (self.read_per_s or math.inf)

    def has_room(self, size: Size, capacity: Capacity) -> bool:
        """For its sequences and tokens. An idle engine takes anything: it has the last word."""
        if not self.sequences:
            return True
        if self.sequences + size.sequences > capacity.sequences:
            return False
        return capacity.kv is None or self.kv + size.held <= capacity.kv * KV_SHARE

    def places(self, capacity: Capacity) -> float:
        """How many more go in that are as those that run."""
        free = float(capacity.sequences - self.sequences)
        if capacity.kv is None or not self.kv:
            return max(0.0, free)
        left = (capacity.kv * KV_SHARE - self.kv) * self.sequences / self.kv
        return max(0.0, min(free, left))

    def prefill_s(self, size: Size) -> float:
        """Seconds to a first token, once sent: those before it are read first."""
        unread = self.prefill + size.unread
        return max(self.first_s, unread / self.read_per_s if self.read_per_s else 0.0)

    def begin(self, size: Size) -> int:
        """Counts one more in; returns the tokens to be read before its first token comes."""
        self.sequences += size.sequences
        self.kv += size.held
        self.cost += size.cost
        self.prefill += size.unread
        self.long += _long(size)
        return self.prefill

    def read(self, size: Size) -> None:
        """Its first token came, or stays away so long that others are not kept out for it any longer."""
        self.prefill -= size.unread

    def spoke(self, size: Size) -> None:
        """It said its first word, or ended without one."""
        self.long -= _long(size)
        if not self.long:
            self.explained_until = 0.0

    def explain(self, size: Size, now: float) -> None:
        """A large prompt was given: it, and those before it, take their time to be read. The slowest speed
        that was seen counts, since what lies in a cache is read in no time.
        """
        if _long(size):
            reads_s = 4 * self.long / (self.slowest_per_s or SLOW)
            until = now + min(LONGEST_READ_S, LEAST_LAPSE_S + reads_s)
            self.explained_until = max(self.explained_until, until)

    def forget(self) -> None:
        """It starts anew, perhaps as another: what was learned of its speed is no longer true."""
        self.read_per_s = self.slowest_per_s = None
        self.first_s = self.explained_until = 0.0

    def learn(self, unread: int, took_s: float) -> None:
        """So many tokens were read before a first one came."""
        if took_s <= 0:
            return
        if unread >= LEAST_PROMPT:
            speed = unread / took_s
            self.read_per_s = _nearer(self.read_per_s, speed)
            self.slowest_per_s = min(speed, self.slowest_per_s or speed)
        else:
            self.first_s = _nearer(self.first_s or None, took_s)

    def patience_s(self, unread: int) -> float:
        """How long a first token may stay away before its prompt is no longer taken to be read."""
        return LEAST_LAPSE_S + 4 * (unread / self.read_per_s if self.read_per_s else 0.0)

    def end(self, size: Size, unread: bool) -> None:
        """It has ended; `unread` says that its first token never came."""
        self.sequences -= size.sequences
        self.kv -= size.held
        self.cost -= size.cost
        if unread:
            self.prefill -= size.unread


def _long(size: Size) -> int:
    return size.prompt if size.prompt >= LEAST_PROMPT else 0


def _nearer(mean: float | None, found: float) -> float:
    return found if mean is None else mean + LEARN * (found - mean)

"""How fast the house gets work done, and how much of it each class should find free. Pure: time comes in."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from seekserve.settings import Tenancy

LEARN = 0.2
SAMPLE_S = 1.0
FULLER = 3  # a full batch makes each of its tokens about so many times slower than a light one
IDLE = 1 / 64  # of its share, what a class without work keeps: little, and nothing in a small house
MEMORY_S = 30.0  # how long what a class had in flight is remembered


class Drain:
    """Tokens of cost per second that leave the engines while somebody waits for a place.

    Only then is the speed the engines' own; in quiet times it is the clients'. Until a first sample,
    Little's law has to do: what is in flight, divided by how long a request takes.
    """

    def __init__(self) -> None:
        self._per_s: float | None = None
        self._cost = 0.0
        self._since: float | None = None
        self._takes_s = 10.0

    def ended(self, cost: float, took_s: float, now: float, waiting: bool) -> None:
        """A request of `cost` tokens has left after `took_s` seconds at its engine."""
        self._takes_s += LEARN * (took_s - self._takes_s)
        if not waiting or self._since is None:
            self._since, self._cost = (now, 0.0) if waiting else (None, 0.0)
            return
        self._cost += cost
        if (span := now - self._since) >= SAMPLE_S:
            found = self._cost / span
            self._per_s = (
                found if self._per_s is None else self._per_s + LEARN * (found - self._per_s)
            )
            self._since, self._cost = now, 0.0

    def per_s(self, in_flight: float) -> float:
        """`in_flight` is the cost of what the engines are working on, in tokens."""
        if self._per_s:
            return self._per_s
        return max(1.0, in_flight / max(self._takes_s, 1e-3))


class Shares:
    """What classes have in flight against what they are promised, in sequences.

    A share that is idle is lent, but not to the last place: a class that had work lately finds as many
    places free as its own ups and downs need, so that it need not wait for what others began. One that
    has work waiting needs none kept: it is next in its turn.
    """

    def __init__(self, classes: Mapping[str, Tenancy]) -> None:
        self._classes = classes
        self.held: dict[str, int] = dict.fromkeys(classes, 0)
        self._peaks: dict[str, tuple[float, float]] = dict.fromkeys(classes, (0.0, 0.0))

    def add(self, key_class: str, sequences: int, now: float) -> None:
        self.held[key_class] += sequences
        self._peaks[key_class] = (max(self._peak(key_class, now), self.held[key_class]), now)

    def may(
        self, key_class: str, sequences: int, capacity: int, now: float, waiting: Container[str]
    ) -> bool:
        """Whether this class may have so many more of `capacity` (sequences, all ready engines), while
        the classes in `waiting` have others in line.
        """
        if not any(self.held.values()):
            return True
        held = self.held[key_class] + sequences
        if held <= self._classes[key_class].share * capacity:
            return True
        free = capacity - sum(self.held.values()) - sequences
        others = (one for one in self._classes if one != key_class and one not in waiting)
        return free >= sum(self._kept(one, capacity, now) for one in others)

    def _kept(self, key_class: str, capacity: int, now: float) -> int:
        """Places kept free for it: up to its share, a little more than it lately had at most."""
        peak, share = self._peak(key_class, now), self._classes[key_class].share * capacity
        usual = FULLER * peak + 2 * math.sqrt(peak) if peak >= 0.5 else share * IDLE
        return max(0, math.floor(min(share, usual)) - self.held[key_class])

    def _peak(self, key_class: str, now: float) -> float:
        peak, at = self._peaks[key_class]
        return peak * math.exp((at - now) / MEMORY_S)

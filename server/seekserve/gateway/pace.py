"""How fast the house gets work done, and how much of it each class should find free. Pure: time comes in."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from seekserve.settings import Tenancy

DRAIN_S = 5.0  # how long what left is remembered
INFLOW_S, LEAST_SPAN_S = 2.0, 0.1
PRIOR_S = 0.25  # what a guess weighs, in seconds of watching
TAKES_S = 10.0  # a request takes, as a guess
BEYOND = 0.995
LEAST_PLACES = 4
MARGIN_S = 300.0
FIRST_MARGIN, MOST_MARGIN, MARGIN_STEP = 3.8, 6.0, 0.25
FULLER = 3  # a full batch makes each of its tokens about so many times slower than a light one
IDLE = 1 / 64  # of its share, what a class without work keeps: little, and nothing in a small house
ACTIVE = 0.5  # sequences, of the peak that fades
MEMORY_S = 30.0  # how long what a class had in flight is remembered


class Drain:
    """Tokens of cost per second that leave the engines: what left lately, by what was there to leave.

    Counted per token-second in flight, so that a house which is still filling up, and of which nobody
    can have ended yet, is not taken for a fast one. Before anything is known, and as long as little is,
    a tenth of what is in flight is taken to leave each second.
    """

    def __init__(self) -> None:
        self._left = self._there = 0.0
        self._at: float | None = None

    def pass_to(self, now: float, in_flight: float) -> None:
        """So much (tokens of cost) was in flight until `now`. An idle house learns and forgets nothing."""
        if self._at is not None and in_flight:
            span = now - self._at
            keep = math.exp(-span / DRAIN_S)
            self._there = self._there * keep + in_flight * span
            self._left *= keep
        self._at = now

    def ended(self, cost: float) -> None:
        self._left += cost

    def per_s(self, in_flight: float) -> float:
        guessed = PRIOR_S * in_flight
        share = (self._left + guessed / TAKES_S) / (self._there + guessed or 1.0)
        return max(1.0, in_flight * share)


class Inflow:
    """Tokens of cost per second that were sent to engines while somebody waited.

    Where there is room, prompts go no faster than those before them are read.
    """

    def __init__(self) -> None:
        self._sent = self._span = 0.0
        self._at: float | None = None

    def pass_to(self, now: float, waiting: bool) -> None:
        """Until `now` somebody waited, or nobody did; either way what was before is forgotten: who is
        turned away for it cannot teach better.
        """
        if self._at is not None:
            span = now - self._at
            keep = math.exp(-span / INFLOW_S)
            self._sent, self._span = self._sent * keep, self._span * keep + span * waiting
        self._at = now

    def sent(self, cost: float) -> None:
        """One that waited."""
        self._sent += cost

    @property
    def per_s(self) -> float:
        """As fast as anything, as long as nobody has waited."""
        return max(1.0, self._sent / self._span) if self._span > LEAST_SPAN_S else math.inf


class Margin:
    """How much later than estimated a place may come: all but one in two hundred come before.

    Places that free one by one, each after `each_s` on average, make a wait for many of them vary as the
    root of their number. How many such deviations it takes is learned, as a running quantile (Robbins and
    Monro, 1951); it covers what else the estimate does not know.
    """

    def __init__(self) -> None:
        self.deviations = FIRST_MARGIN
        self._at = 0.0

    def pass_to(self, now: float) -> None:
        """What was learned is forgotten in minutes: a margin so wide that everybody is turned away for it
        would learn of nothing any more.
        """
        keep = math.exp((self._at - now) / MARGIN_S)
        self.deviations = FIRST_MARGIN + (self.deviations - FIRST_MARGIN) * keep
        self._at = now

    def latest_s(self, expected_s: float, each_s: float) -> float:
        return expected_s + self.deviations * math.sqrt(expected_s * each_s)

    def learn(self, expected_s: float, each_s: float, found_s: float) -> None:
        """One has got its place after `found_s`, or has given up then."""
        if not expected_s or expected_s < LEAST_PLACES * each_s:
            return  # a wait for the next few says how engines step rather than how far estimates are off
        within = found_s <= self.latest_s(expected_s, each_s)
        found = self.deviations + MARGIN_STEP * (BEYOND - within)
        self.deviations = min(max(found, 0.0), MOST_MARGIN)


class Shares:
    """What classes have in flight against what they are promised, in sequences.

    A share that is idle is lent, but not to the last place: a class that had work lately finds as many
    places free as its own ups and downs need, so that it need not wait for what others began. One that
    has work waiting needs none kept: it is next in its turn.
    """

    def __init__(self, classes: Mapping[str, Tenancy]) -> None:
        self.held: dict[str, int] = {}
        self._peaks: dict[str, tuple[float, float]] = {}
        self.adopt(classes)

    def adopt(self, classes: Mapping[str, Tenancy]) -> None:
        """From now on these are promised; what is held stays held. None may be missing that was there."""
        self._classes = classes
        self._order = {name: place for place, name in enumerate(classes)}
        self.held = dict.fromkeys(classes, 0) | self.held
        self._peaks = dict.fromkeys(classes, (0.0, 0.0)) | self._peaks

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
        if self.due(key_class, sequences, capacity):
            return True
        free = capacity - sum(self.held.values()) - sequences
        others = (one for one in self._classes if one != key_class and one not in waiting)
        return free >= sum(self._kept(one, capacity, now) for one in others)

    def due(self, key_class: str, sequences: int, capacity: int) -> bool:
        """Whether that many more are within what this class is promised."""
        return self.held[key_class] + sequences <= self._classes[key_class].share * capacity

    def yields(self, key_class: str, now: float, waiting: Container[str]) -> bool:
        """Whether a class that comes before this one, in the order of the list, lately had work and has
        none in line now: it asks for no more than it is promised, and is to find engines at ease.
        """
        others = (one for one in self._classes if self.before(one, key_class))
        return any(one not in waiting and self._peak(one, now) >= ACTIVE for one in others)

    def before(self, one: str, other: str) -> bool:
        """By the order of the list."""
        return self._order[one] < self._order[other]

    def _kept(self, key_class: str, capacity: int, now: float) -> int:
        """Places kept free for it: up to its share, a little more than it lately had at most."""
        peak, share = self._peak(key_class, now), self._classes[key_class].share * capacity
        usual = FULLER * peak + 2 * math.sqrt(peak) if peak >= ACTIVE else share * IDLE
        return max(0, math.floor(min(share, usual)) - self.held[key_class])

    def _peak(self, key_class: str, now: float) -> float:
        peak, at = self._peaks[key_class]
        return peak * math.exp((at - now) / MEMORY_S)

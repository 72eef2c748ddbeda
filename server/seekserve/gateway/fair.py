"""Who is next: fair over classes by share, and over the keys of a class by tokens served. Pure.

Both levels are virtual token counters (Sheng et al., Fairness in Serving Large Language Models, 2024):
who has been served least is next. A class counts tokens divided by its share, so that over time the
shares are kept. Whoever comes back after being idle is lifted to where the others are, hence hoards no
credit; but a class only to `credit` below it, so that what it had lent comes back to it first. With
requests of unequal cost this keeps shares as deficit round robin does, and serves a class that returns
at once instead of when its turn in the round comes.

Work per call: the number of classes, and the logarithm of the number of keys.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from seekserve.settings import Tenancy

MOST_KEYS = 10_000  # idle keys whose counters are remembered


class Waiting(Protocol):
    """One who waits. `gone` once it has left the line by itself; `cost` in tokens."""

    @property
    def key(self) -> str: ...
    @property
    def key_class(self) -> str: ...
    @property
    def cost(self) -> int: ...
    @property
    def gone(self) -> bool: ...


T = TypeVar("T", bound=Waiting)


@dataclass(slots=True)
class Group(Generic[T]):
    """The line of one class. `served` is tokens by share; `floor` is where its keys are.

    `queued` is what waits of each key, in tokens of cost, and `counts` in requests.
    """

    share: float
    served: float = 0.0
    floor: float = 0.0
    length: int = 0
    cost: int = 0
    lines: dict[str, deque[T]] = field(default_factory=dict)
    queued: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    counters: OrderedDict[str, float] = field(default_factory=OrderedDict)
    heap: list[tuple[float, str]] = field(default_factory=list)

    def add(self, one: T) -> None:
        line = self.lines.get(one.key)
        if line is None:
            line = self.lines[one.key] = deque()
            counter = max(self.counters.get(one.key, 0.0), self.floor)
            self._count(one.key, counter)
            heapq.heappush(self.heap, (counter, one.key))
        line.append(one)
        self._grow(one, 1)

    def head(self) -> T | None:
        """Of the key that was served least, the one that waits longest."""
        while self.heap:
            counter, key = self.heap[0]
            line = self.lines.get(key)
            if line is None or counter != self.counters.get(key):
                heapq.heappop(
                    self.heap
                )  # the key's counter has moved since; its new place is in here
                continue
            while line and line[0].gone:
                line.popleft()
            if line:
                return line[0]
            self._forget(key)
        return None

    def take(self) -> T:
        """Takes the head out, and counts what it is expected to cost."""
        one = self.head()
        assert one is not None
        self.lines[one.key].popleft()
        self._grow(one, -1)
        self.floor = max(self.floor, self.counters[one.key])
        self.charge(one.key, one.cost)
        return one

    def left(self, one: T) -> None:
        """`one` has gone by itself; it is taken out when it comes to the front."""
        self._grow(one, -1)
        if not self.length:
            self.lines.clear()
            self.heap.clear()
        elif (line := self.lines.get(one.key)) and len(line) > 2 * self.counts.get(one.key, 0) + 32:
            self.lines[one.key] = deque(other for other in line if not other.gone)

    def charge(self, key: str, cost: float) -> None:
        """Counts `cost` tokens more (or less) for a key and its class."""
        self.served += cost / self.share
        self._count(key, self.counters.get(key, self.floor) + cost)
        if key in self.lines:
            heapq.heappush(self.heap, (self.counters[key], key))

    def _grow(self, one: T, by: int) -> None:
        self.length += by
        self.cost += by * one.cost
        self.queued[one.key] = self.queued.get(one.key, 0) + by * one.cost
        self.counts[one.key] = self.counts.get(one.key, 0) + by
        if not self.counts[one.key]:
            del self.queued[one.key], self.counts[one.key]

    def _count(self, key: str, counter: float) -> None:
        self.counters[key] = counter
        self.counters.move_to_end(key)
        while len(self.counters) > MOST_KEYS + len(self.lines):
            oldest, counter = self.counters.popitem(last=False)
            if oldest in self.lines:  # or its place in the heap would be nobody's
                self.counters[oldest] = counter

    def _forget(self, key: str) -> None:
        del self.lines[key]
        heapq.heappop(self.heap)


class Line(Generic[T]):
    """Everybody who waits for one model."""

    def __init__(self, classes: Mapping[str, Tenancy], credit: Callable[[], float]) -> None:
        """`credit` (tokens) is what all engines together are working on at a time."""
        self.groups: dict[str, Group[T]] = {n: Group(t.share) for n, t in classes.items()}
        self._credit = credit
        self._now, self._length = 0.0, 0

    def adopt(self, classes: Mapping[str, Tenancy]) -> None:
        """Shares as they are now, and classes that are new. None may be missing that was there."""
        for name, one in classes.items():
            self.groups.setdefault(name, Group(one.share)).share = one.share

    def __len__(self) -> int:
        return self._length

    @property
    def waiting(self) -> set[str]:
        """The classes that have somebody in line."""
        return {name for name, group in self.groups.items() if group.length}

    def add(self, one: T) -> None:
        group = self.groups[one.key_class]
        if not group.length:
            group.served = max(group.served, self._now - self._credit())
        group.add(one)
        self._length += 1

    def left(self, one: T) -> None:
        self.groups[one.key_class].left(one)
        self._length -= 1

    def heads(self) -> Iterator[T]:
        """The next of each class, the class that was served least first."""
        waiting = [group for group in self.groups.values() if group.length]
        for group in sorted(waiting, key=lambda group: group.served):
            if (one := group.head()) is not None:
                yield one

    def take(self, key_class: str) -> T:
        """The head of a class. Time moves with those who wait for their due, whoever goes before them."""
        self._now = max(self._now, min(g.served for g in self.groups.values() if g.length))
        self._length -= 1
        return self.groups[key_class].take()

    def charge(self, key_class: str, key: str, cost: float) -> None:
        """What a request came to, beside what was expected of it; or all of it, where it did not wait."""
        self.groups[key_class].charge(key, cost)

    def ahead(self, key_class: str, key: str, cost: int) -> float:
        """Tokens to be served, of all classes, before one more of this key would be: an estimate.

        Of its class: what waits, or if less, as much of every waiting key as of this one, and of the
        others one more each. Meanwhile the other classes take their shares, as far as they have work.
        """
        group = self.groups[key_class]
        mine, keys = group.queued.get(key, 0), len(group.queued)
        own = min(group.cost, mine * keys + cost * keys)
        if group.served < self._now and own <= (self._now - group.served) * group.share:
            return own
        others = [g for g in self.groups.values() if g is not group and g.length]
        return own + sum(min(g.cost, own * g.share / group.share) for g in others)

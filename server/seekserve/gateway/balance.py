"""Which engine a request goes to. Pure: candidates and what they hold in, one of them out.

Power of two choices by tokens in flight (Mitzenmacher, 2001): as even as looking at all, and many
gateways in front of the same engines do not all run to the same one. A conversation goes back to where
its beginning lies in the prefix cache, unless that engine has much more to do than another.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

BLOCK = 512  # bytes of a prompt; an engine's own blocks are of some 64
MOST_MARKS = 50_000
WORTH = 0.5  # of the marks, to be worth going back for
BURDEN = 1.5  # times the load of the least busy, and it is not
SLACK = 2_000  # tokens of cost: below, no engine is busy

T = TypeVar("T")


def choose(engines: Sequence[tuple[T, float]], home: T | None, chance: Random) -> T:
    """Of engines with their tokens in flight. `home` is where the prompt's beginning was read before."""
    least = min(load for _, load in engines)
    for engine, load in engines:
        if engine is home and load <= BURDEN * least + SLACK:
            return engine
    pair = chance.sample(engines, 2) if len(engines) > 2 else engines
    return min(pair, key=lambda one: one[1])[0]


def marks(prompt: bytes, salt: str) -> tuple[bytes, ...]:
    """One per whole block, each a digest of everything up to its end: equal while two prompts are."""
    return tuple(_chained(prompt, salt))


def _chained(prompt: bytes, salt: str) -> Iterator[bytes]:
    digest = hashlib.blake2b(salt.encode(), digest_size=8)
    for end in range(BLOCK, len(prompt) + 1, BLOCK):
        digest.update(prompt[end - BLOCK : end])
        yield digest.digest()


class Homes:
    """Which engine read what last: the marks of prompts, as many as MOST_MARKS."""

    def __init__(self) -> None:
        self._homes: OrderedDict[bytes, str] = OrderedDict()

    def of(self, prompt: Sequence[bytes]) -> str | None:
        """The engine that read the longest part of it, if that is worth going back for."""
        for number in range(len(prompt), 0, -1):
            if home := self._homes.get(prompt[number - 1]):
                return home if number >= WORTH * len(prompt) else None
        return None

    def learn(self, prompt: Sequence[bytes], engine: str) -> None:
        for mark in prompt:
            self._homes[mark] = engine
            self._homes.move_to_end(mark)
        while len(self._homes) > MOST_MARKS:
            self._homes.popitem(last=False)

    def forget(self, engine: str) -> None:
        """It has lost its cache."""
        for mark in [mark for mark, home in self._homes.items() if home == engine]:
            del self._homes[mark]

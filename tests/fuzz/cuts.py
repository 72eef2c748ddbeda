"""Choices out of a fuzzer's bytes: the same bytes always choose the same."""

from __future__ import annotations

import random
from typing import TypeVar

One = TypeVar("One")
FEW = 6


class Chooser:
    """Reads choices from the front of `data`; what is left is `rest`. Out of bytes, it chooses the first."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def number(self, size: int = 1) -> int:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return int.from_bytes(taken, "big")

    def pick(self, choices: list[One] | tuple[One, ...]) -> One:
        return choices[self.number() % len(choices)]

    def yes(self) -> bool:
        return self.number() % 2 == 1

    def text(self, most: int = 12) -> str:
        size = self.number() % most
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken.decode(errors="replace")


def cut(data: bytes, seed: int) -> list[bytes]:
    """`data` in a few reads, or for some seeds byte by byte."""
    if seed % 8 == 0 and len(data) < 2000:
        return [data[i : i + 1] for i in range(len(data))]
    places = random.Random(seed)
    at = sorted(places.randrange(len(data) + 1) for _ in range(1 + seed % FEW))
    ends = zip([0, *at], [*at, len(data)], strict=True)
    return [data[a:b] for a, b in ends if a < b]

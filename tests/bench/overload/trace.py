"""Who asks for what and when, drawn once from a seed: every contestant gets the same. Pure."""

import heapq
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_WORDS: Final = (
    "the sea was calm and the old boat went slowly past a row of white houses while somebody counted "
    "the gulls on the roof and wrote down how many there were before the rain came over the hill "
)


@dataclass(frozen=True, slots=True)
class Mix:
    """Sizes of requests, in tokens: mostly short prompts, some long ones; answers around a mean."""

    short: tuple[int, int] = (100, 600)
    long: int = 4000
    long_share: float = 0.1
    output: float = 200.0
    output_spread: float = 50.0
    bytes_per_token: float = 4.0

    def prompt(self, dice: random.Random) -> int:
        return self.long if dice.random() < self.long_share else dice.randint(*self.short)

    def answer(self, dice: random.Random) -> int:
        return max(1, round(dice.gauss(self.output, self.output_spread)))


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: when (seconds from the start), whose, and how large (tokens)."""

    at: float
    key: str
    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class Stream:
    """What one key sends from `begin` to `end` (seconds), `per_s` requests a second."""

    key: str
    per_s: float
    begin: float
    end: float


def poisson(stream: Stream, mix: Mix, seed: int) -> Iterator[Arrival]:
    """Arrivals that know nothing of each other."""
    dice = random.Random(f"{seed}/{stream.key}")
    at = stream.begin
    while (at := at + dice.expovariate(stream.per_s)) < stream.end:
        yield Arrival(at, stream.key, mix.prompt(dice), mix.answer(dice))


def merged(streams: Iterable[Stream], mix: Mix, seed: int = 7) -> list[Arrival]:
    """Everybody's arrivals in order of time."""
    return list(heapq.merge(*(poisson(s, mix, seed) for s in streams), key=lambda one: one.at))


def endless(mix: Mix, key: str, fresh: int, seed: int = 11) -> Iterator[Arrival]:
    """For lanes that each send one after another. The first `fresh` answers are cut at random, as if the
    lanes had been going for long: else all would end at once, again and again.
    """
    dice = random.Random(seed)
    for number in itertools.count():
        output = mix.answer(dice)
        cut = dice.randint(1, output) if number < fresh else output
        yield Arrival(0.0, key, mix.prompt(dice), cut)


def text(size: int, number: int) -> str:
    """So many bytes of words; `number` comes first, so that no two prompts share a prefix."""
    start = (number * 7) % len(_WORDS)
    words = f"{number} " + _WORDS[start:] + _WORDS * (size // len(_WORDS) + 1)
    return words[:size]


def body(one: Arrival, number: int, model: str, mix: Mix) -> bytes:
    """The JSON that asks for it."""
    said = text(max(8, round(one.prompt * mix.bytes_per_token)), number)
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": said}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": one.output,
            "ignore_eos": True,
        }
    ).encode()


def rate(arrivals: Sequence[Arrival], begin: float, end: float) -> float:
    """Requests per second that come between the two (seconds)."""
    return sum(begin <= one.at < end for one in arrivals) / (end - begin)

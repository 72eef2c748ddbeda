"""Whether the time of a key check tells anything of the key: `python -m tests.security.key_timing [SAMPLES]`.

Two kinds of key are checked in turn, in an order drawn anew for every pair, so that whatever the machine
does meanwhile falls on both alike. Their times are compared by a two-sided Mann-Whitney U test (normal
approximation, ties corrected): the null hypothesis is that neither is the slower more often than not.
A p below 0.01, divided by the number of pairs (Bonferroni), is a difference, and exit code 1.
IDs are public, and yet told no sooner than secrets: a key is found by its whole text's digest. What is
timed is `Keyring.find` and `guard.ended`, which is all that depends on the key.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import string
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from seekserve.gateway.guard import ended
from seekserve.gateway.keys import PREFIX, Key, Keyring, mint, new_id

SAMPLES = 10_000
LEVEL = 0.01
LETTERS = string.ascii_letters + string.digits + "-_"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Check = Callable[[str], object]
Draw = Callable[[], str]


def ranks(values: list[float]) -> tuple[list[float], float]:
    """The rank of each value, ties sharing theirs; and the sum of t^3 - t over the ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    told, ties, at = [0.0] * len(values), 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            told[place] = (at + end + 1) / 2
        ties += (end - at) ** 3 - (end - at)
        at = end
    return told, ties


def mann_whitney(one: list[float], two: list[float]) -> tuple[float, float]:
    """The two-sided p, and how often `one` is the larger (0.5 is never more often)."""
    n, m = len(one), len(two)
    told, ties = ranks(one + two)
    u = sum(told[:n]) - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if not variance:
        return 1.0, 0.5
    z = (u - n * m / 2) / math.sqrt(variance)
    return math.erfc(abs(z) / math.sqrt(2)), u / (n * m)


def timed(check: Check, one: Draw, two: Draw, samples: int) -> tuple[list[float], list[float]]:
    """Nanoseconds of each check, `samples` of either kind, in a shuffled order. Every text is another, and
    all are drawn before: of one text, where its digest happens to fall in a table would be timed, and of
    one that was just drawn, how long that took.
    """
    shuffled = random.Random(7)
    texts = [[draw() for _ in range(samples + 200)] for draw in (one, two)]
    took: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    for number in range(samples + 200):
        kinds = [0, 1]
        shuffled.shuffle(kinds)
        for kind in kinds:
            text = texts[kind][number].encode().decode()  # a new one, as every request brings
            begun = time.perf_counter_ns()
            check(text)
            took[kind].append(time.perf_counter_ns() - begun)
    gc.enable()
    return took[0][200:], took[1][200:]


def _drawn(stem: str, size: int) -> str:
    """A text of that beginning, and chance to its full size."""
    return stem + "".join(random.choices(LETTERS, k=size - len(stem)))


def pairs() -> tuple[Check, dict[str, tuple[Draw, Draw]]]:
    """A ring of a hundred keys, and the pairs that must not be told apart."""
    kept, texts = [], []
    for number in range(100):
        id_ = new_id(())
        text, secret = mint(id_)
        over = {"revoked_at": NOW} if number < 2 else {}
        told = {"id": id_, "name": f"n{number}", "secrets": (secret,), "created_at": NOW} | over
        kept.append(Key.model_validate(told))
        texts.append(text)
    ring = Keyring((), kept)

    def check(text: str) -> object:
        found = ring.find(text)
        return found and ended(found, NOW)

    stem, size = len(PREFIX) + 13, len(texts[0])
    nobody = PREFIX + "f" * 12 + "-"

    def right(letters: int, of: slice = slice(2, None)) -> Draw:
        """As many letters of some key of the ring, the rest by chance."""
        return lambda: _drawn(random.choice(texts[of])[:letters], size)

    none, gone = right(stem), right(stem, slice(0, 2))
    return check, {
        "control: two wrong secrets": (none, none),
        "secret: all but the last two letters right, or none": (right(size - 2), none),
        "secret: half of it right, or none": (right((stem + size) // 2), none),
        "ID: a key's or nobody's": (none, lambda: _drawn(nobody, size)),
        "ID: nobody's or a revoked key's": (lambda: _drawn(nobody, size), gone),
        "ID: a key's or a revoked key's": (none, gone),
    }


def main(samples: int) -> int:
    check, compared = pairs()
    told_apart = 0
    for what, (one, two) in compared.items():
        first, second = timed(check, one, two, samples)
        p, larger = mann_whitney(first, second)
        medians = f"medians {statistics.median(first):.0f} and {statistics.median(second):.0f} ns"
        differs = p < LEVEL / len(compared)
        told_apart += differs
        verdict = "TOLD APART" if differs else "not told apart"
        print(f"{what}: {verdict} (p = {p:.3g}, P(first slower) = {larger:.3f}, {medians})")
    verdict = "can" if told_apart else "cannot"
    print(f"{samples} samples of each kind: by its time a wrong key {verdict} be told from another")
    return min(told_apart, 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES))

"""Requests that were at engines when these were lost: one that kills engines is not handed on for ever.

Nobody can tell who killed an engine of all that were there. But one and the same body that was there
again and again is not tried on what is left of the house for a while.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Clock

MOST = 3  # engines lost with it
WITHIN_S = 600.0
KEPT = 1000
Life = tuple[str, int]
"""An engine's name, and the how-manieth life of it."""


class Suspects:
    """By the digest of what the engine was sent; nothing of it is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost: OrderedDict[bytes, dict[Life, float]] = OrderedDict()

    def add(self, body: bytes, life: Life) -> None:
        """An engine was lost while it had this. Of several who sent the same, one counts."""
        if not body:  # it was made on the way, of other calls
            return
        lives = self._lost.setdefault(_digest(body), {})
        lives.setdefault(life, self._clock())
        if len(lives) > MOST:
            del lives[next(iter(lives))]
        self._lost.move_to_end(_digest(body))
        if len(self._lost) > KEPT:
            self._lost.popitem(last=False)

    def clear(self, body: bytes) -> None:
        """An engine lived through it: what many ask is there whenever one is lost, and is not why."""
        if self._lost:
            self._lost.pop(_digest(body), None)

    def check(self, body: bytes) -> None:
        """Raises EngineBroke for one that is not tried again now. Costs nothing while no engine is lost."""
        if not self._lost or (lives := self._lost.get(_digest(body))) is None:
            return
        left_s = min(lives.values()) + WITHIN_S - self._clock()
        if len(lives) == MOST and left_s > 0:
            raise EngineBroke(
                f"Engines were lost {MOST} times while they had this very request. It is not tried again "
                f"for {left_s:.0f} s; change it, or tell whoever runs this server.",
                code="engine_lost",
            )


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()

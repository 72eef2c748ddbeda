"""Whether a dead engine is started again, and when. Pure: lives in, seconds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
SETTLED_S = 600.0
HALF_A_LIFE_S = 1e-3  # it counts as a death, and not as a start that could not be


@dataclass(frozen=True, slots=True)
class Life:
    """How one life of a process ended: after `ready_s` seconds of being ready; `asked` to or not."""

    ready_s: float
    asked: bool = False


def next_wait(lives_s: Sequence[float], max_restarts: int) -> float | None:
    """Seconds to wait before the next start, or None to give up.

    `lives_s` are the lengths of the lives so far, each from ready to death; 0 is a start that never
    became ready. The first start gets no second chance: its cause will not go away by itself. A life
    of SETTLED_S or more forgives what came before it.
    """
    if not lives_s or not any(lives_s):
        return None
    recent = 0
    for life in reversed(lives_s):
        if life >= SETTLED_S:
            break
        recent += 1
    if recent > max_restarts:
        return None
    doublings = min(recent - 1, 16)  # many more are no float
    return 0.0 if recent == 0 else float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**doublings))

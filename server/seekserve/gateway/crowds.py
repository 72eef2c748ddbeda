"""How long a request may wait, and how many may. Pure."""

from __future__ import annotations

from seekserve.gateway import refusals
from seekserve.gateway.fair import Group
from seekserve.gateway.lease import Turn
from seekserve.settings import Limits, Tenancy

EARLY_SHARE = 0.75  # of a class's queue, open to a single key


def refuse_crowds(
    turn: Turn, group: Group[Turn], tenancy: Tenancy, queued: int, limits: Limits
) -> None:
    """A class may fill its part of the queue, and more while others leave theirs; a key may not have
    the last quarter of what its class has, unless it holds less of it than others do. `queued` is how
    many wait in all. Raises QueueFull.
    """
    most = min(tenancy.queued, max(1, round(limits.queued * tenancy.share)))
    full = queued >= limits.queued or group.length >= tenancy.queued
    if group.length >= most and full:
        raise refusals.too_many(turn.key_class, group.length, turn.expected_s)
    mine = group.counts.get(turn.key, 0)
    early = EARLY_SHARE * min(tenancy.queued, limits.queued)
    if queued >= early and mine * len(group.counts) >= min(early, most):
        raise refusals.too_many_of_one(turn.key_class, mine, turn.expected_s)


def patience(tenancy: Tenancy, limits: Limits, reads_s: float) -> float:
    """The longest wait that still lets the first token come in time.

    A prompt that takes most of the target to read (`reads_s`) cannot keep it: it is held to the wait
    alone.
    """
    in_time = max(tenancy.ttft_target_s - 2 * reads_s, tenancy.ttft_target_s / 2)
    return min(tenancy.max_wait_s, limits.wait_s, in_time)

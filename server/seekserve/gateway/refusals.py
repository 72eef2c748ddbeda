"""How the queue says no: what happened, with the numbers, and when to come back. Pure."""

from __future__ import annotations

from seekserve.engine.engine import Snapshot, State
from seekserve.errors import BadRequest, EngineNotReady, QueueFull

STARTING_RETRY_S = 10.0


def too_many(key_class: str, length: int, expected_s: float) -> QueueFull:
    return QueueFull(
        f"The house is full: {_waiting(length)} in class {key_class}, which is as many as "
        f"may. Expected wait now: {_seconds(expected_s)}. Try again after Retry-After seconds.",
        retry_after_s=expected_s,
    )


def too_many_of_one(key_class: str, length: int, expected_s: float) -> QueueFull:
    return QueueFull(
        f"The house is full: {_waiting(length, ' of this API key')}, and the rest of class "
        f"{key_class}'s queue is for other keys. Expected wait now: {_seconds(expected_s)}. "
        "Try again after Retry-After seconds.",
        retry_after_s=expected_s,
    )


def too_wide(sequences: int, places: int) -> BadRequest:
    return BadRequest(
        f"This asks for {sequences} sequences at once (prompts times n); {places} are what an engine here "
        "makes at a time. Ask for fewer.",
        param="n",
    )


def too_late(
    key_class: str, expected_s: float, latest_s: float, patience_s: float, length: int
) -> QueueFull:
    """For one that would wait in vain: its place may come as late as `latest_s`."""
    return QueueFull(
        f"The house is full: {_waiting(length, f' of class {key_class}')}. A place is expected in "
        f"{_seconds(expected_s)}, or {_seconds(latest_s)} at the latest; after {_seconds(patience_s)} it "
        "would be too late for this request. Try again after Retry-After seconds.",
        retry_after_s=latest_s - patience_s,
    )


def waited_out(waited_s: float, expected_s: float) -> QueueFull:
    """For one that has waited its time out."""
    return QueueFull(
        f"The house is full: no place came free within {_seconds(waited_s)}. "
        f"Expected wait now: {_seconds(expected_s)}. Try again after Retry-After seconds.",
        retry_after_s=expected_s,
    )


def unless_ready(snapshots: list[Snapshot]) -> None:
    """Raises EngineNotReady where no engine could answer now."""
    if not any(s.state is State.READY for s in snapshots):
        raise not_ready(snapshots)


def not_ready(snapshots: list[Snapshot]) -> EngineNotReady:
    """A refusal that says what the engines are doing instead of answering."""
    if not snapshots or all(s.state is State.FAILED for s in snapshots):
        return EngineNotReady(
            "The engine has failed and will not be started again by itself. "
            "The server's own output says why.",
            code="engine_failed",
            retry_after_s=60,
        )
    best = max(snapshots, key=lambda s: s.state is State.STARTING)
    share = f" ({best.share:.0%})" if best.share is not None else ""
    if best.joined < best.nodes:
        share = f" ({best.joined} of {best.nodes} joined)"
    return EngineNotReady(
        f"The engine is {best.state.value}; stage: {best.stage or best.state.value}{share}. "
        "Try again after Retry-After seconds, or watch /health/ready.",
        code="engine_starting" if best.state is State.STARTING else None,
        retry_after_s=STARTING_RETRY_S,
    )


def _waiting(length: int, whose: str = "") -> str:
    return (
        f"1 request{whose} already waits"
        if length == 1
        else f"{length} requests{whose} already wait"
    )


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"

"""What one key may still do now: token buckets, and how that is told in headers. Pure: time is an argument.

A bucket holds a minute's worth at most and fills steadily, so a client may burst up to its limit and
then go on at its pace. Requests are taken before they run, and so are the tokens they are expected to
come to; what they did come to is known only afterwards, and may draw the bucket below zero: then the
next request waits until it is above again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from seekserve.errors import RateLimited, counted
from seekserve.gateway.keys import Key

MINUTE_S = 60.0
PLACE_RETRY_S = 1.0
"""A request that is over frees a place at any time; no bucket says when."""

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Bucket:
    """`level` was what it held at `at` (seconds, of whatever clock); full at first."""

    level: float = math.inf
    at: float = 0.0

    def fill(self, per_min: int, now: float) -> None:
        """A new limit, or a clock that stood still, changes no more than the bucket's rim and pace."""
        gained = max(0.0, now - self.at) * per_min / MINUTE_S
        self.level, self.at = min(float(per_min), self.level + gained), now

    def wait_s(self, per_min: int, wanted: float = 1.0) -> float:
        """Seconds until it holds `wanted`; 0 when it does."""
        return max(0.0, wanted - self.level) * MINUTE_S / per_min

    def take(self, count: float) -> None:
        self.level -= count


@dataclass(slots=True)
class Use:
    """What one key does now. `arriving` are requests whose bodies still come; `owed` is what those that run
    are expected to cost, in accounts' UNITs, and `reserved` the tokens they are expected to come to, which
    are taken from their bucket.
    """

    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)
    running: int = 0
    arriving: int = 0
    owed: int = 0
    reserved: int = 0


def fill(key: Key, use: Use, now: float) -> None:
    """Brings the buckets to `now`, at the limits the key has now; without a limit one starts afresh."""
    for name in ("requests", "tokens"):
        if per_min := getattr(key, f"{name}_per_min"):
            getattr(use, name).fill(per_min, now)
        else:
            setattr(use, name, Bucket(at=now))


def refusal(key: Key, use: Use, arriving: int = 0) -> RateLimited | None:
    """Why one more request may not run now, beside those that run or are `arriving`, with the numbers; None
    when it may.
    """
    running = use.running + arriving
    if key.concurrency and running >= key.concurrency:
        return RateLimited(
            f"This API key runs {counted(running, 'request')}, and may run {key.concurrency} at once. "
            "Send the next when one has ended.",
            code="concurrency_exceeded",
            retry_after_s=PLACE_RETRY_S,
        )
    for what, per_min, bucket in _limited(key, use):
        if wait_s := bucket.wait_s(per_min):
            return _used_up(what, per_min, bucket, wait_s, use)
    return None


def _used_up(what: str, per_min: int, bucket: Bucket, wait_s: float, use: Use) -> RateLimited:
    if what == "tokens" and bucket.level + use.reserved >= 1:
        return RateLimited(
            f"Of this API key's {per_min} tokens per minute, what it asks right now is expected to take the "
            f"rest ({use.reserved}). Send the next when one has ended.",
            retry_after_s=PLACE_RETRY_S,
        )
    return RateLimited(
        f"This API key has used its {counted(per_min, what[:-1])} per minute. "
        f"The next request may come in {span(wait_s)}.",
        retry_after_s=wait_s,
    )


def headers(key: Key, use: Use) -> list[Header]:
    """OpenAI's x-ratelimit headers, of the limits that this key has."""
    told: list[tuple[str, str]] = []
    for what, per_min, bucket in _limited(key, use):
        told += [
            (f"x-ratelimit-limit-{what}", str(per_min)),
            (f"x-ratelimit-remaining-{what}", str(max(0, math.floor(bucket.level)))),
            (f"x-ratelimit-reset-{what}", span(bucket.wait_s(per_min, per_min))),
        ]
    return [(name.encode(), value.encode()) for name, value in told]


def span(seconds: float) -> str:
    """A wait as OpenAI writes it: 0s, 120ms, 59s, 6m0s; never shorter than it is."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _limited(key: Key, use: Use) -> list[tuple[str, int, Bucket]]:
    both = (
        ("requests", key.requests_per_min, use.requests),
        ("tokens", key.tokens_per_min, use.tokens),
    )
    return [(what, per_min, bucket) for what, per_min, bucket in both if per_min]

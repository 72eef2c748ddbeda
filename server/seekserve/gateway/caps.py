"""The caps of each key that need no queue, held while a request runs. Alone writes what keys use."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import Scope

from seekserve.errors import BudgetSpent, RateLimited
from seekserve.gateway import limits
from seekserve.gateway.accounts import UNIT
from seekserve.gateway.ask import Clock
from seekserve.gateway.keys import Key
from seekserve.gateway.limits import Use
from seekserve.gateway.record import Trace, trace_of
from seekserve.gateway.rows import cost_of
from seekserve.gateway.sizes import Size
from seekserve.metrics import TOP_KEYS, Reading, top
from seekserve.settings import Prices

CHARGED = ("prompt", "completion")
"""Of a request's tokens; cached ones are part of the prompt, reasoning of the completion."""
NOTHING = Size(0, 0, 0)


def nothing(name: str) -> float:
    return 0.0


class Caps:
    """`spent` says what a key, by its name, has spent this month, in the prices' currency: the ledger's
    to know.

    What keys have used is forgotten when the server ends.
    """

    def __init__(self, clock: Clock, prices: Prices | None = None) -> None:
        self._clock, self._prices = clock, prices or Prices()
        self._uses: dict[str, Use] = {}
        self._tokens: Counter[str] = Counter()
        self.spent: Callable[[str], float] = nothing

    def adopt(self, prices: Prices) -> None:
        """For what is charged from now on."""
        self._prices = prices

    @contextmanager
    def arriving(self, scope: Scope) -> Iterator[None]:
        """While its body comes a request takes a place of its key's, as one that runs does. Raises what
        `held` would now, before anything is read.
        """
        key: Key | None = scope.get("key")
        if key is None:
            yield
            return
        use = self._use(key)
        self._may(key, use, trace_of(scope), use.arriving)
        use.arriving += 1
        try:
            yield
        finally:
            use.arriving -= 1

    @asynccontextmanager
    async def held(
        self, scope: Scope, expected: Callable[[], Size] = lambda: NOTHING
    ) -> AsyncIterator[None]:
        """One of the key's places, and what the request is expected to use; by whatever road it is left,
        the place is free again, and what it did use is charged instead. Raises RateLimited and BudgetSpent.
        """
        key: Key | None = scope.get("key")
        if key is None:
            yield
            return
        trace, use = trace_of(scope), self._use(key)
        self._may(key, use, trace)
        size = expected() if key.tokens_per_min or key.monthly_budget is not None else NOTHING
        cost = self._cost(size)  # once: by the end the prices may be others
        self._begin(use, size, cost)
        trace.headers = limits.headers(key, use)
        try:
            yield
        finally:
            self._end(key, use, size, cost, sum(trace.tokens.get(kind, 0) for kind in CHARGED))

    def _use(self, key: Key) -> Use:
        use = self._uses.setdefault(key.id, Use())
        limits.fill(key, use, self._clock())
        return use

    def _may(self, key: Key, use: Use, trace: Trace, arriving: int = 0) -> None:
        trace.headers = limits.headers(key, use)
        self._within_budget(key, use)
        if refused := limits.refusal(key, use, arriving):
            raise refused

    def _begin(self, use: Use, size: Size, cost: int) -> None:
        use.running += 1
        use.requests.take(1)
        use.tokens.take(size.held)
        use.owed += cost
        use.reserved += size.held

    def _end(self, key: Key, use: Use, size: Size, cost: int, tokens: int) -> None:
        use.running -= 1
        use.tokens.take(tokens - size.held)
        use.owed -= cost
        use.reserved -= size.held
        self._tokens[key.name] += tokens

    def _cost(self, size: Size) -> int:
        return cost_of(self._prices, size.prompt, 0, size.output)

    def _within_budget(self, key: Key, use: Use) -> None:
        if key.monthly_budget is None:
            return
        spent, owed = self.spent(key.name), use.owed / UNIT
        if spent + owed < key.monthly_budget:
            return
        unit = f" {self._prices.currency}" if self._prices.currency else ""
        budget = f"{key.monthly_budget:.2f}{unit} for this month"
        told = f"this API key has spent {spent:.2f}{unit} of its {budget}"
        if spent < key.monthly_budget:
            raise RateLimited(
                f"Almost no balance: {told}, and what it asks right now is expected to cost "
                f"{owed:.4g}{unit}. Send the next when one has ended.",
                retry_after_s=limits.PLACE_RETRY_S,
            )
        raise BudgetSpent(
            f"Insufficient balance: {told}. It can go on next month, or when whoever runs this server "
            f"raises the budget: seekserve keys change {key.name} --monthly-budget SUM."
        )

    def gauges(self) -> list[Reading]:
        return [
            (
                "key_tokens",
                f"Tokens read and made since the start, of the {TOP_KEYS} keys that used most.",
                ("key",),
                top(self._tokens),
            )
        ]

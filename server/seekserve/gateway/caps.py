"""The caps of each key that need no queue, held while a request runs. Alone writes what keys use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Scope

from seekserve.errors import BudgetSpent
from seekserve.gateway import limits
from seekserve.gateway.ask import Clock
from seekserve.gateway.keys import Key
from seekserve.gateway.limits import Use
from seekserve.gateway.trace import Trace, trace_of

CHARGED = ("prompt", "completion")
"""Of a request's tokens; cached ones are part of the prompt, reasoning of the completion."""


def nothing(name: str) -> float:
    return 0.0


class Caps:
    """`spent` says what a key, by its name, has spent this month, in `currency`: the ledger's to know.

    What keys have used is forgotten when the server ends.
    """

    def __init__(self, clock: Clock, currency: str = "") -> None:
        self._clock, self._currency = clock, currency
        self._uses: dict[str, Use] = {}
        self.spent: Callable[[str], float] = nothing

    @asynccontextmanager
    async def held(self, scope: Scope) -> AsyncIterator[None]:
        """One of the key's places; by whatever road it is left, it is free again and the tokens are
        charged. Raises RateLimited and BudgetSpent.
        """
        key: Key | None = scope.get("key")
        if key is None:
            yield
            return
        trace = trace_of(scope)
        use = self._enter(key, trace)
        try:
            yield
        finally:
            use.running -= 1
            use.tokens.take(sum(trace.tokens.get(kind, 0) for kind in CHARGED))

    def _enter(self, key: Key, trace: Trace) -> Use:
        use = self._uses.setdefault(key.id, Use())
        limits.fill(key, use, self._clock())
        try:
            self._within_budget(key)
            if refused := limits.refusal(key, use):
                raise refused
            use.requests.take(1)
            use.running += 1
        finally:
            trace.headers = limits.headers(key, use)
        return use

    def _within_budget(self, key: Key) -> None:
        if key.monthly_budget is None:
            return
        if (spent := self.spent(key.name)) >= key.monthly_budget:
            unit = f" {self._currency}" if self._currency else ""
            raise BudgetSpent(
                f"Insufficient balance: this API key has spent {spent:.2f}{unit} of its "
                f"{key.monthly_budget:.2f}{unit} for this month. It can go on next month, or when "
                "whoever gave it to you raises the budget."
            )

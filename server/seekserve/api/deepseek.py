"""What DeepSeek's API has beside the generation routes, which are OpenAI's: the balance of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from seekserve.gateway.keys import Key
from seekserve.gateway.record import trace_of
from seekserve.settings import Prices


class Account:
    """`spent` says what a key has spent this month, in the currency of `prices`."""

    def __init__(self, spent: Callable[[str], float], prices: Prices) -> None:
        self._spent, self._prices = spent, prices

    async def balance(self, request: Request) -> JSONResponse:
        """What is left of the key's monthly budget. A key without a budget has no balance to tell."""
        trace_of(request.scope).route = "balance"
        key: Key | None = request.scope.get("key")
        if key is None or key.monthly_budget is None:
            return JSONResponse({"is_available": True, "balance_infos": []})
        left = max(0.0, key.monthly_budget - self._spent(key.name))
        return JSONResponse({"is_available": left > 0, "balance_infos": [self._told(left)]})

    def _told(self, left: float) -> dict[str, Any]:
        amount = f"{left:.2f}"
        return {
            "currency": self._prices.currency,
            "total_balance": amount,
            "granted_balance": amount,
            "topped_up_balance": "0.00",
        }


def router(account: Account) -> APIRouter:
    routes = APIRouter(tags=["account"])
    for at in ("", "/v1", "/beta"):
        routes.get(f"{at}/user/balance", include_in_schema=at == "")(account.balance)
    return routes

"""What DeepSeek's API has beside the generation routes, which are OpenAI's: the balance of a key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from seekserve.gateway.trace import trace_of


async def balance(request: Request) -> JSONResponse:
    """Whether this key may spend. No accounts are kept here: what a key may use is not money."""
    trace_of(request.scope).route = "balance"
    return JSONResponse({"is_available": True, "balance_infos": []})


def router() -> APIRouter:
    routes = APIRouter(tags=["account"])
    for at in ("", "/v1", "/beta"):
        routes.get(f"{at}/user/balance", include_in_schema=at == "")(balance)
    return routes

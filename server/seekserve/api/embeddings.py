"""POST /embeddings, for engines whose model makes them. DeepSeek's chat models make none: a 404."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from seekserve.api import body
from seekserve.api.named import Names, ask
from seekserve.api.openai import PREFIXES
from seekserve.api.schemas import MOST, Body, Prompts
from seekserve.api.straight import Endpoint
from seekserve.dialect import embeddings
from seekserve.engine.fleet import Fleet
from seekserve.errors import BadRequest
from seekserve.gateway.record import trace_of
from seekserve.gateway.relay import Gateway, Relay
from seekserve.settings import Limits, Tier


class EmbeddingsRequest(Body):
    """POST /embeddings"""

    model: str = Field(min_length=1, max_length=256)
    input: Prompts
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, le=MOST)
    user: str | None = Field(None, description="Without effect.")


class Embeddings:
    """The endpoint, on one fleet and one gateway."""

    def __init__(self, fleet: Fleet, gateway: Gateway, tier: Tier) -> None:
        self._gateway, self._tier, self._names = gateway, tier, Names(fleet, tier)

    async def create(self, request: Request) -> Response:
        """Turn texts into vectors, where the engine's model can."""
        trace_of(request.scope).route = "embeddings"
        limits = self._tier.limits
        asked = body.parse(await body.read(request, limits, self._gateway.caps), EmbeddingsRequest)
        _check(asked, limits)
        named = self._names.find(request, asked.model)
        wanted = embeddings.to_engine(asked.model_dump(exclude_none=True) | {"model": named.model})
        return Relay(self._gateway, ask(wanted, embeddings.Embeddings(), False))


def _check(asked: EmbeddingsRequest, limits: Limits) -> None:
    if not asked.input:
        raise BadRequest("input is empty.", param="input")
    texts = asked.input if isinstance(asked.input, list) else [asked.input]
    if not isinstance(texts[0], int) and len(texts) > limits.prompts:
        raise BadRequest(
            f"input is {len(texts)} texts; at most {limits.prompts} here.", param="input"
        )


def straight(endpoints: Embeddings) -> dict[str, Endpoint]:
    return {f"{at}/embeddings": endpoints.create for at in PREFIXES}


def router(endpoints: Embeddings) -> APIRouter:
    routes = APIRouter(tags=["inference"], default_response_class=Response)
    schema = {"x-schema": EmbeddingsRequest.__name__}
    for at in PREFIXES:
        about: dict[str, Any] = {"include_in_schema": at == "/v1", "openapi_extra": schema}
        routes.add_api_route(f"{at}/embeddings", endpoints.create, methods=["POST"], **about)
    return routes

"""Chat, completions and models, as OpenAI's and DeepSeek's clients call them, with and without /v1."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from seekserve.api import body
from seekserve.api.schemas import ChatRequest, CompletionRequest, Sampling
from seekserve.api.straight import Endpoint
from seekserve.config import Tier
from seekserve.dialect import chat, completions, models
from seekserve.engine.fleet import Fleet
from seekserve.errors import BadRequest
from seekserve.gateway.ask import Accent, Ask
from seekserve.gateway.relay import Gateway, Relay
from seekserve.gateway.trace import trace_of

ToEngine = Callable[[Mapping[str, Any], Any, int | None], dict[str, Any]]


@dataclass(frozen=True)
class Door:
    """One way in: its route, schema, accent and translation."""

    route: str
    schema: type[Sampling]
    accent: Accent
    to_engine: ToEngine


CHAT = Door("chat", ChatRequest, chat.Chat(), chat.to_engine)
COMPLETIONS = Door(
    "completions", CompletionRequest, completions.Completions(), completions.to_engine
)


class OpenAI:
    """The endpoints, on one fleet and one gateway."""

    def __init__(self, fleet: Fleet, gateway: Gateway, tier: Tier) -> None:
        self._fleet, self._gateway, self._tier = fleet, gateway, tier
        self._born = int(time.time())

    async def chat(self, request: Request) -> Response:
        """Answer a conversation. Streams when `stream` is true."""
        return await self._relay(request, CHAT)

    async def completions(self, request: Request) -> Response:
        """Continue a text. Streams when `stream` is true."""
        return await self._relay(request, COMPLETIONS)

    async def models(self, request: Request) -> Response:
        """The models of every engine."""
        trace_of(request.scope).route = "models"
        return JSONResponse(models.listing([self._model(name) for name in self._fleet.cards()]))

    async def model(self, request: Request, model: str) -> Response:
        """One model, by its id."""
        trace_of(request.scope).route = "models"
        self._fleet.card(model)
        return JSONResponse(self._model(model))

    def _model(self, name: str) -> dict[str, Any]:
        card = self._fleet.cards().get(name)
        born = (card.created if card else None) or self._born
        return models.model(name, card.max_model_len if card else None, born)

    async def _relay(self, request: Request, door: Door) -> Response:
        trace = trace_of(request.scope)
        trace.route = door.route
        asked = body.parse(await body.read(request, self._tier.limits), door.schema)
        body.check(asked, self._tier.limits)
        card = self._fleet.card(asked.model)
        trace.model = card.id if card else ""
        given = asked.model_dump(exclude_unset=True, by_alias=True)
        wanted = door.to_engine(given, self._tier.defaults, card.max_model_len if card else None)
        show_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        ask = Ask(asked.model, encoded(wanted), bool(asked.stream), show_usage, door.accent)
        return Relay(self._gateway, ask)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encoded(wanted: dict[str, Any]) -> bytes:
    """The engine's request as JSON. Raises BadRequest for what JSON has no form for."""
    try:
        return _encode(wanted).encode()
    except ValueError as error:  # a lone surrogate, or NaN inside a schema
        raise BadRequest("The body holds text or numbers that JSON cannot carry.") from error


def straight(openai: OpenAI) -> dict[str, Endpoint]:
    """The hot routes, by exact path."""
    doors: dict[str, Endpoint] = {
        "/chat/completions": openai.chat,
        "/completions": openai.completions,
    }
    return {prefix + path: door for prefix in ("/v1", "") for path, door in doors.items()}


def router(openai: OpenAI) -> APIRouter:
    """The table of routes. Bodies are read by hand (capped), so their schemas are given here."""
    routes = APIRouter()
    for prefix, shown in (("/v1", True), ("", False)):
        _add(routes, f"{prefix}/chat/completions", openai.chat, "POST", shown, ChatRequest)
        _add(routes, f"{prefix}/completions", openai.completions, "POST", shown, CompletionRequest)
        _add(routes, f"{prefix}/models", openai.models, "GET", shown)
        _add(routes, f"{prefix}/models/{{model:path}}", openai.model, "GET", shown)
    return routes


def _add(
    routes: APIRouter,
    path: str,
    endpoint: Callable[..., Any],
    method: str,
    shown: bool,
    schema: type[Sampling] | None = None,
) -> None:
    extra: dict[str, Any] = {"x-schema": schema.__name__} if schema else {}
    routes.add_api_route(
        path,
        endpoint,
        methods=[method],
        include_in_schema=shown,
        response_class=Response,
        openapi_extra=extra,
        tags=["inference"],
    )

"""Chat, completions and models, as OpenAI's and DeepSeek's clients call them: under /v1, /beta and bare."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from seekserve.api import body
from seekserve.api.named import Named, Names, ask, permit, permitted
from seekserve.api.schemas import ChatRequest, CompletionRequest, Sampling
from seekserve.api.straight import Endpoint
from seekserve.dialect import chat, completions, continued, models, prefix
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import ModelCard
from seekserve.gateway.ask import Accent, Steps
from seekserve.gateway.record import trace_of
from seekserve.gateway.relay import Gateway, Relay
from seekserve.settings import Tier

Asked = TypeVar("Asked", bound=Sampling)


class OpenAI:
    """The endpoints, on one fleet and one gateway."""

    def __init__(self, fleet: Fleet, gateway: Gateway, tier: Tier) -> None:
        self._fleet, self._gateway, self._tier = fleet, gateway, tier
        self._names = Names(fleet, tier)
        self._born = int(time.time())

    async def chat(self, request: Request) -> Response:
        """Answer a conversation. Streams when `stream` is true."""
        asked = await self._asked(request, "chat", ChatRequest)
        named = self._names.find(request, asked.model)
        given = _given(asked, named)
        wanted = chat.to_engine(given, named.terms)
        if not prefix.begun(given):
            return self._relay(asked, wanted, chat.Chat(self._usage_last))
        accent = continued.Continued(prefix.thinks_on(wanted), self._usage_last)
        return self._relay(asked, wanted, accent, lambda: prefix.steps(wanted, named.terms))

    async def completions(self, request: Request) -> Response:
        """Continue a text, or with `suffix` fill its middle in. Streams when `stream` is true."""
        asked = await self._asked(request, "completions", CompletionRequest)
        named = self._names.find(request, asked.model)
        wanted = completions.to_engine(_given(asked, named), named.terms)
        return self._relay(asked, wanted, completions.Completions(self._usage_last))

    async def models(self, request: Request) -> Response:
        """The models of every engine, and the names that stand for them.

        In Anthropic's shape for those who send anthropic-version, or ask below /anthropic.
        """
        trace_of(request.scope).route = "models"
        names = {name: name for name in self._fleet.cards()} | self._names.aliases()
        mine = [
            self._model(model, name)
            for name, model in names.items()
            if permitted(request, name, model)
        ]
        theirs = "anthropic-version" in request.headers or request.scope["path"].startswith(
            "/anthropic/"
        )
        return JSONResponse(models.anthropic_listing(mine) if theirs else models.listing(mine))

    async def model(self, request: Request, model: str) -> Response:
        """One model, by its id."""
        trace_of(request.scope).route = "models"
        own = self._names.aliases().get(model, model)
        permit(request, model, own)
        self._fleet.card(own)
        return JSONResponse(self._model(own, model))

    def _model(self, name: str, called: str = "") -> dict[str, Any]:
        card = self._fleet.cards().get(name) or ModelCard(name)
        alias_of = name if called not in ("", name) else None
        born = card.created or self._born
        return models.model(called or name, card.max_model_len, born, card.manner, alias_of)

    @property
    def _usage_last(self) -> bool:
        return self._tier.dialect.stream_usage == "last_event"

    async def _asked(self, request: Request, route: str, schema: type[Asked]) -> Asked:
        trace_of(request.scope).route = route
        asked = body.parse(await body.read(request, self._tier.limits, self._gateway.caps), schema)
        body.check(asked, self._tier.limits)
        return asked

    def _relay(
        self,
        asked: Sampling,
        wanted: dict[str, Any],
        accent: Accent,
        steps: Callable[[], Steps] | None = None,
    ) -> Response:
        show_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        return Relay(self._gateway, ask(wanted, accent, bool(asked.stream), show_usage, steps))


def _given(asked: Sampling, named: Named) -> dict[str, Any]:
    """What the client said, of the model by its own name."""
    return asked.model_dump(exclude_unset=True, by_alias=True) | {"model": named.model}


PREFIXES = ("/v1", "", "/beta")
"""DeepSeek's three base URLs. All serve the same: what its /beta has more is here everywhere."""


def straight(openai: OpenAI) -> dict[str, Endpoint]:
    """The hot routes, by exact path."""
    doors: dict[str, Endpoint] = {
        "/chat/completions": openai.chat,
        "/completions": openai.completions,
    }
    return {at + path: door for at in PREFIXES for path, door in doors.items()}


def router(openai: OpenAI) -> APIRouter:
    """The table of routes. Bodies are read by hand (capped), so their schemas are given here."""
    routes = APIRouter()
    for at in PREFIXES:
        shown = at == "/v1"
        _add(routes, f"{at}/chat/completions", openai.chat, "POST", shown, ChatRequest)
        _add(routes, f"{at}/completions", openai.completions, "POST", shown, CompletionRequest)
        _add(routes, f"{at}/models", openai.models, "GET", shown)
        _add(routes, f"{at}/models/{{model:path}}", openai.model, "GET", shown)
    _add(routes, "/anthropic/v1/models", openai.models, "GET", True)
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

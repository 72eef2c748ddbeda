"""Anthropic's Messages API: under /anthropic, as DeepSeek has it, and under /v1.

The headers anthropic-version and anthropic-beta are accepted and have no effect. What `claude…`
names stand for is a setting (dialect.claude).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from seekserve.api import body
from seekserve.api.anthropic_schemas import CountTokensRequest, MessagesRequest
from seekserve.api.named import Names, ask
from seekserve.api.schemas import Body
from seekserve.api.straight import Endpoint
from seekserve.dialect import anthropic, anthropic_answer, prefix
from seekserve.dialect.anthropic_begun import Begun
from seekserve.engine.fleet import Fleet
from seekserve.errors import BadRequest
from seekserve.gateway.record import trace_of
from seekserve.gateway.relay import Gateway, Relay
from seekserve.settings import Limits, Tier

shape = anthropic_answer.shape


class Anthropic:
    """The endpoints, on one fleet and one gateway."""

    def __init__(self, fleet: Fleet, gateway: Gateway, tier: Tier) -> None:
        self._gateway, self._tier, self._names = gateway, tier, Names(fleet, tier)

    async def messages(self, request: Request) -> Response:
        """Answer a conversation, in Anthropic's way. Streams when `stream` is true."""
        asked = await self._asked(request, "messages", MessagesRequest)
        named = self._names.find(request, asked.model, anthropic=True)
        given = asked.model_dump(exclude_unset=True, by_alias=True) | {"model": named.model}
        wanted = anthropic.to_engine(given, named.terms)
        stream = bool(asked.stream)
        if wanted["messages"][-1]["role"] != "assistant":
            accent = anthropic.Messages(asked.model)
            return Relay(self._gateway, ask(wanted, accent, stream))
        prefix.check(wanted)
        begun = Begun(asked.model, prefix.thinks_on(wanted))
        steps = partial(prefix.steps, wanted, named.terms)
        return Relay(self._gateway, ask(wanted, begun, stream, steps=steps))

    async def count_tokens(self, request: Request) -> Response:
        """How many tokens a conversation is, as the engine's own tokenizer and template have it."""
        asked = await self._asked(request, "count_tokens", CountTokensRequest)
        named = self._names.find(request, asked.model, anthropic=True)
        given = asked.model_dump(exclude_unset=True, by_alias=True) | {"model": named.model}
        wanted = anthropic.to_count(given, named.terms)
        accent = anthropic.Count(asked.model)
        return Relay(self._gateway, ask(wanted, accent, False, aside=True))

    async def _asked(self, request: Request, route: str, schema: type[body.Model]) -> body.Model:
        trace_of(request.scope).route = route
        limits = self._tier.limits
        asked = body.parse(await body.read(request, limits, self._gateway.caps), schema)
        _check(asked, limits)
        return asked


def _check(asked: Body, limits: Limits) -> None:
    """The caps that are settings rather than part of the API."""
    caps = {
        "messages": limits.messages,
        "tools": limits.tools,
        "stop_sequences": limits.stop_strings,
    }
    for name, cap in caps.items():
        if name not in type(asked).model_fields:  # nobody has looked at it, and nobody will
            continue
        given = len(getattr(asked, name) or ())
        if given > cap:
            raise BadRequest(f"{name} is {given}; at most {cap} here.", param=name)


def _doors(anthropic: Anthropic) -> dict[str, tuple[Endpoint, str]]:
    return {
        prefix + path: door
        for prefix in ("/v1", "/anthropic/v1")
        for path, door in {
            "/messages": (anthropic.messages, MessagesRequest.__name__),
            "/messages/count_tokens": (anthropic.count_tokens, CountTokensRequest.__name__),
        }.items()
    }


def straight(anthropic: Anthropic) -> dict[str, Endpoint]:
    """The hot routes, by exact path."""
    return {path: endpoint for path, (endpoint, _) in _doors(anthropic).items()}


def router(anthropic: Anthropic) -> APIRouter:
    """The table of routes. Bodies are read by hand (capped), so their schemas are given here."""
    routes = APIRouter(tags=["inference"], default_response_class=Response)
    for path, (endpoint, schema) in _doors(anthropic).items():
        called: Callable[..., Any] = endpoint
        routes.add_api_route(path, called, methods=["POST"], openapi_extra={"x-schema": schema})
    return routes

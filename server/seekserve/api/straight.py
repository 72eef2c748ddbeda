"""The generation routes, answered without FastAPI's routing, dependency and exit-stack machinery.

That machinery costs more per request than all of ours and gives these routes nothing: they read their
bodies by hand and answer with an ASGI response. They stay registered as FastAPI routes too, which is
what /docs, other methods and OPTIONS see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from seekserve.errors import Refusal
from seekserve.gateway.record import trace_of
from seekserve.gateway.trace import refuse

Endpoint = Callable[[Request], Awaitable[Response]]


class Straight:
    """ASGI middleware: POSTs to exactly these paths go to their endpoint, the rest to the app."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        posted = scope["type"] == "http" and scope["method"] == "POST"
        endpoint = self._endpoints.get(scope["path"]) if posted else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        trace_of(scope).path = scope["path"]
        try:
            response = await endpoint(Request(scope, receive))
        except Refusal as refusal:
            await refuse(refusal, scope, send)
            return
        await response(scope, receive, send)

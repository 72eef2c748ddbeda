"""The Console's data, a route for each thing the page shows. Who may ask was decided by the usher."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seekserve.console.live import Live
from seekserve.console.pages import GUARDED
from seekserve.console.pulse import event
from seekserve.console.usher import Guest, refused
from seekserve.errors import NotFound, Refusal
from seekserve.gateway.record import trace_of


class Desk:
    """`state` tells what a guest sees first."""

    def __init__(self, live: Live, state: Callable[[Guest], dict[str, Any]]) -> None:
        self._live, self._state = live, state

    def app(self) -> Starlette:
        routes = {"state": self.state, "live": self.live}
        told = {Refusal: _refused, HTTPException: _no_route}
        return Starlette(
            routes=[
                Route(f"/console/api/{name}", page, methods=["GET"])
                for name, page in routes.items()
            ],
            exception_handlers=told,
        )

    async def state(self, request: Request) -> Response:
        return told(self._state(_guest(request)))

    async def live(self, request: Request) -> Response:
        guest = _guest(request)
        return self._live.watcher(event("state", self._state(guest)), guest.holds)


def told(data: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    headers = {**GUARDED, "cache-control": "no-store", "content-type": "application/json"}
    return Response(body, status, headers)


def _guest(request: Request) -> Guest:
    guest: Guest = request.scope["guest"]
    return guest


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    trace_of(request.scope).refused(error)
    return refused(error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = NotFound("There is no such thing in the Console.", code="no_route")
    refusal.status = error.status_code
    return refused(refusal)

"""The Console's data, a route for each thing the page shows. Who may ask was decided by the usher.

Looking goes on while the server stops; what changes anything does not, and none of it makes a stop wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seekserve.api.opskeys import KeyDesk, unwilling
from seekserve.console import using
from seekserve.console.aside import Aside
from seekserve.console.happenings import Happenings
from seekserve.console.history import History
from seekserve.console.live import HEADERS, Live
from seekserve.console.pages import GUARDED
from seekserve.console.pulse import event
from seekserve.console.usher import DATA, Guest, refused
from seekserve.errors import NotFound, Refusal, SlowBody, StartError, Stopping
from seekserve.gateway.closing import Closing
from seekserve.gateway.record import trace_of

CHANGE_S = 10.0
Endpoint = Callable[[Request], Awaitable[Response]]
Shown = TypeVar("Shown")


@dataclass(frozen=True)
class Desk:
    """`state` tells what a guest sees first, `plan` what was planned; `ledger` is the file of what was used,
    which is read `aside`.
    """

    live: Live
    history: History
    happenings: Happenings
    keys: KeyDesk
    ledger: Path
    aside: Aside
    closing: Closing
    state: Callable[[Guest], dict[str, Any]]
    plan: Callable[[], Awaitable[dict[str, Any]]]

    def app(self) -> Starlette:
        looks: dict[str, Endpoint] = {
            "state": self._told_state,
            "history": self._told_history,
            "live": self._told_live,
            "events": self._told_events,
            "plan": self._told_plan,
            "keys": self.keys.listed,
            "usage": self._told_usage,
            "usage.csv": self._told_sheet,
        }
        changes: dict[str, Endpoint] = {
            "keys": self.keys.add,
            "keys/{name}/change": self.keys.change,
            "keys/{name}/rotate": self.keys.rotate,
            "keys/{name}/revoke": self.keys.revoke,
        }
        routes = [Route(DATA + path, page, methods=["GET"]) for path, page in looks.items()]
        routes += [
            Route(DATA + path, partial(self._changed, page), methods=["POST"])
            for path, page in changes.items()
        ]
        handled = {StartError: _unwilling, Refusal: _refused, HTTPException: _no_route}
        app = Starlette(routes=routes, exception_handlers=handled)
        app.router.redirect_slashes = False  # a redirect is made of the client's Host header
        return app

    async def _told_state(self, request: Request) -> Response:
        return told(self.state(_guest(request)))

    async def _told_history(self, request: Request) -> Response:
        return Response(self.history.page(), headers=_own({"content-type": "application/json"}))

    async def _told_live(self, request: Request) -> Response:
        guest = _guest(request)
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        return self.live.watcher(lambda: event("state", self.state(guest)), guest.holds)

    async def _told_events(self, request: Request) -> Response:
        before = request.query_params.get("before", "")
        known = before.isascii() and before.isdigit() and len(before) < 16
        return told(self.happenings.told(int(before) if known else None))

    async def _told_plan(self, request: Request) -> Response:
        return told(await self.plan())

    async def _told_usage(self, request: Request) -> Response:
        return await self._usage(request, lambda found: told(using.told(found)))

    async def _told_sheet(self, request: Request) -> Response:
        page = await self._usage(request, using.sheet)
        name = "attachment; filename=usage.csv"
        headers = {"content-type": "text/csv; charset=utf-8", "content-disposition": name}
        return Response(page.encode(), headers=_own(headers))

    async def _usage(self, request: Request, shown: Callable[[using.Usage], Shown]) -> Shown:
        asked = request.query_params
        by, since = asked.get("by", "key"), asked.get("since", "7d")
        return await self.aside(lambda: shown(using.read(self.ledger, by, since)))

    async def _changed(self, change: Endpoint, request: Request) -> Response:
        if self.closing.begun:
            raise Stopping("The server is stopping: nothing is changed any more.", retry_after_s=10)
        try:
            async with asyncio.timeout(CHANGE_S):
                answer = await change(request)
        except TimeoutError as error:
            raise SlowBody(f"The request did not arrive within {CHANGE_S:.0f} s.") from error
        answer.headers.update(_own({}))
        return answer


def told(data: dict[str, Any]) -> Response:
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    own = _own({"content-type": "application/json"})
    return Response(body.encode(errors="replace"), headers=own)


def _own(headers: dict[str, str]) -> dict[str, str]:
    return {**GUARDED, "cache-control": "no-store", **headers}


def _guest(request: Request) -> Guest:
    guest: Guest = request.scope["guest"]
    return guest


async def _unwilling(request: Request, error: Exception) -> Response:
    answer = await unwilling(request, error)
    answer.headers.update(_own({}))
    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    trace_of(request.scope).refused(error)
    return refused(error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = refused(NotFound("There is no such thing in the Console.", code="no_route"))
    answer.status_code = error.status_code
    return answer

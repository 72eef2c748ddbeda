"""The application as a value. Read this first: it is the whole server on one page.

A request walks: Front (the configuration in force) -> Tracing (id, clock) -> Usher (the Console, which is
operators') -> Guard (key) -> LastOrders
(nothing new while the server stops) -> Straight (the generation routes; FastAPI has the rest) -> api
(body, dialect) -> Relay (place, engine, bytes). The lifespan starts the engines and returns at once, so
that /health/live is green while /health/ready still says which stage each engine is in. Beside it stands
what operators use (`opsapp`), which clients cannot reach.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seekserve import __version__, opsapp
from seekserve.api import anthropic, deepseek, docs, embeddings, openai, openapi, ops, responses
from seekserve.api.opsactions import Actions
from seekserve.api.opskeys import KeyDesk
from seekserve.api.straight import Endpoint, Straight
from seekserve.config import Config
from seekserve.console.room import Console, Rooms
from seekserve.engine.fleet import Fleet
from seekserve.engine.rolling import renewed
from seekserve.errors import BadRequest, MethodNotAllowed, NotFound, Refusal
from seekserve.gateway import keyfile
from seekserve.gateway.closing import Closing, LastOrders
from seekserve.gateway.guard import Guard
from seekserve.gateway.record import Trace, trace_of
from seekserve.gateway.trace import Tracing
from seekserve.house import House
from seekserve.log import Log
from seekserve.metrics import Metrics, Reading
from seekserve.plan.detect import Machine, detect
from seekserve.plan.wish import Plan
from seekserve.reloading import Reloading, Renewal


class Front:
    """What clients reach. A reload puts another `app` in: requests end in the one where they began."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self._lifespan = app, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._lifespan if scope["type"] == "lifespan" else self.app
        await app(scope, receive, send)


class Apps(NamedTuple):
    """What clients are served; what operators are, on the socket and (reading alone) over TCP; and what
    SIGHUP does. The API's lifespan is the server's. `watch` adds gauges of what was made beside them;
    `console` is what they see, in a browser or at a terminal.
    """

    api: Front
    ops: Starlette
    scrape: Starlette
    hangup: Callable[[], Awaitable[None]]
    watch: Callable[[Callable[[], Iterable[Reading]]], None]
    console: Console


def build(
    config: Config,
    fleet: Fleet,
    log: Log,
    closing: Closing | None = None,
    renewal: Renewal | None = None,
    plan: Callable[[], Plan | None] = lambda: None,
    look: Callable[[], Machine] = detect,
) -> Apps:
    """Everything wired, nothing started: the server starts with the lifespan. `renewal` says how the
    configuration is read anew, and engines are made by it; `plan` what they were planned to be, where
    they were; `look` sees this machine's devices. Raises StartError.
    """
    house = House(config, fleet, log, closing or Closing())
    changes = KeyDesk(config.state_dir / keyfile.NAME, log, house.keys.reload)
    gate, ring = house.gateway.admission, lambda: house.keys.ring
    rooms = Rooms(fleet, gate, ring, changes, house.closing, log, plan, look)
    console = Console(config, rooms)
    desk = ops.Ops(fleet, house.metrics, config, lambda: house.keys.ring.door, house.closing)
    front = Front(_api(house, desk, console, config))

    def adopt(new: Config) -> None:
        house.adopt(new)
        desk.adopt(new)
        console.adopt(new)
        front.app = _api(house, desk, console, new)

    reloading = Reloading(config, house.keys.reload, renewal, adopt)
    actions = Actions(fleet, log, reload=reloading, restart=partial(renewed, fleet))
    house.metrics.watch(actions.gauges)
    return Apps(
        api=front,
        ops=opsapp.build(desk, actions, changes, log, Metrics(_unseen()), console),
        scrape=opsapp.scrape(desk, config, log, Metrics(_unseen()), console),
        hangup=actions.hangup,
        watch=house.metrics.watch,
        console=console,
    )


def _api(house: House, desk: ops.Ops, console: Console, config: Config) -> FastAPI:
    """The clients' side, by one configuration."""
    rooms = (house.fleet, house.gateway, config.tier)
    chats, answers = openai.OpenAI(*rooms), responses.Responses(*rooms)
    messages, vectors = anthropic.Anthropic(*rooms), embeddings.Embeddings(*rooms)
    hot = openai.straight(chats) | responses.straight(answers) | anthropic.straight(messages)
    hot |= embeddings.straight(vectors)
    app = _framed(house, console, config, hot)
    for router in (
        openai.router(chats),
        responses.router(answers),
        anthropic.router(messages),
        embeddings.router(vectors),
        deepseek.router(deepseek.Account(house.ledger.spent, config.tier.prices)),
        ops.router(desk),
        docs.router(lambda: app.openapi()),
    ):
        app.include_router(router)
    setattr(app, "openapi", lambda: _openapi(app))  # noqa: B010  FastAPI's own way to replace it
    return app


def _framed(house: House, console: Console, config: Config, hot: Mapping[str, Endpoint]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with house.open(), console.open():
            yield

    return FastAPI(
        title="seekserve",
        version=__version__,
        summary="DeepSeek on your own hardware, behind one endpoint.",
        lifespan=lifespan,
        middleware=[
            Middleware(
                Tracing,
                metrics=house.metrics,
                log=house.log,
                shapes=anthropic.shape,
                settled=_settling(house, console),
                enter=house.enter,
                dues={name: one.ttft_target_s for name, one in config.tier.classes.items()},
            ),
            *console.on_api(),
            Middleware(Guard, ring=lambda: house.keys.ring, tier=config.tier),
            Middleware(LastOrders, closing=house.closing),
            Middleware(Straight, endpoints=hot),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _no_route},
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # a redirect is made of the Host header, which is the client's
    )


def _settling(house: House, console: Console) -> Callable[[Trace, float], None]:
    """What becomes of a request that is over."""

    def settle(trace: Trace, total_s: float) -> None:
        house.settle(trace, total_s)
        console.over(trace)

    return settle


def _unseen() -> CollectorRegistry:
    """For what operators ask, which is none of clients' requests and on nobody's page."""
    return CollectorRegistry()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    trace = trace_of(request.scope)
    trace.refused(error)
    response = Response(trace.told(error), error.status)
    response.raw_headers = error.headers(len(response.body))
    return response


async def _no_route(request: Request, error: Exception) -> Response:
    """A path or method that is not served, in the same shape as every other refusal."""
    assert isinstance(error, HTTPException)
    path = "".join(c for c in request.scope["path"][:120] if c.isprintable())
    where = f"{request.method} {path}"
    if error.status_code == 404:
        return await _refused(
            request, NotFound(f"{where} is not served here. See /docs.", code="no_route")
        )
    if error.status_code == 405:
        return await _refused(request, MethodNotAllowed(f"{where}: use another method; see /docs."))
    return await _refused(request, BadRequest(str(error.detail)[:300]))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        app.openapi_schema = openapi.page(app)
    return app.openapi_schema

"""The operators' side of the server as a value: everything on the socket of its owner, and on a TCP port
what a scrape reads, never what changes anything.

`reload` and `restart` are whose they are: this only says what came of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seekserve.api.ops import Ops
from seekserve.api.opsactions import Actions
from seekserve.api.opskeys import KeyDesk, unwilling
from seekserve.config import Config
from seekserve.console.room import Console
from seekserve.errors import Refusal, StartError
from seekserve.gateway.guard import OF_THE_TOKEN, Guard
from seekserve.gateway.keys import Keyring
from seekserve.gateway.trace import Tracing
from seekserve.log import Log
from seekserve.metrics import Metrics

LISTED = "README.md lists what is."
READ_ALONE = (
    "This port is for scrapes: the rest, and all that changes anything, is on STATE_DIR/ops.sock only. "
    f"{LISTED}"
)

Told = Callable[[Request, Exception], Awaitable[Response]]


def build(
    ops: Ops,
    actions: Actions,
    keys: KeyDesk,
    log: Log,
    unseen: Metrics,
    console: Console,
) -> Starlette:
    """For ops.sock: whoever can open that may do everything. Its requests are counted on `unseen`."""
    changes = [
        Route("/engines", ops.engines, methods=["GET"]),
        Route("/server", ops.server, methods=["GET"]),
        Route("/reload", actions.reload, methods=["POST"]),
        Route("/engines/{name}/restart", actions.restart, methods=["POST"]),
        Route("/keys", keys.listed, methods=["GET"]),
        Route("/keys", keys.add, methods=["POST"]),
        Route("/keys/{name}/change", keys.change, methods=["POST"]),
        Route("/keys/{name}/rotate", keys.rotate, methods=["POST"]),
        Route("/keys/{name}/revoke", keys.revoke, methods=["POST"]),
    ]
    if console.shown:
        changes.append(Route("/console", console.link, methods=["GET"]))
    return _app([*_reading(ops), *changes], [_tracing(log, unseen), console.on_socket()])


def scrape(ops: Ops, config: Config, log: Log, unseen: Metrics, console: Console) -> Starlette:
    """For --ops: reading alone, but for who signs in to the Console. Without a token only this machine's
    own programs, no web page.
    """
    hashes = (config.ops_token,) if config.ops_token else ()
    ring = Keyring(hashes, door="closed" if hashes else "local")
    guard = Middleware(Guard, ring=lambda: ring, tier=config.tier, words=OF_THE_TOKEN)
    return _app(_reading(ops), [_tracing(log, unseen), *console.on_port(), guard], READ_ALONE)


def _reading(ops: Ops) -> list[Route]:
    pages: dict[str, Callable[[Request], object]] = {
        "/metrics": ops.metrics,
        "/version": ops.version,
        "/health/live": ops.live,
        "/health/ready": ops.ready,
    }
    return [Route(path, page, methods=["GET"]) for path, page in pages.items()]


def _tracing(log: Log, unseen: Metrics) -> Middleware:
    return Middleware(Tracing, metrics=unseen, log=log)


def _app(routes: list[Route], middleware: list[Middleware], elsewhere: str = LISTED) -> Starlette:
    no_route: Told = partial(_no_route, elsewhere)
    told: dict[type[Exception], Told] = {
        StartError: unwilling,
        Refusal: _refused,
        HTTPException: no_route,
    }
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=told)
    app.router.redirect_slashes = False  # a redirect is made of the client's Host header
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"error": {"message": error.message, "todo": ""}}, error.status)


async def _no_route(elsewhere: str, request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.scope['path'][:120]}"
    told = {"message": f"{where} is not served here.", "todo": elsewhere}
    return JSONResponse({"error": told}, error.status_code, error.headers)

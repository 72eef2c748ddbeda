"""The application as a value. Read this first: it is the whole server on one page.

A request walks: Tracing (id, clock) -> Guard (key) -> Straight (the generation routes; FastAPI has the
rest) -> api (body, dialect) -> Relay (place, engine, bytes). The lifespan starts the engines and
returns at once, so that /health/live is green while /health/ready still says which stage each engine
is in.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from seekserve import __version__
from seekserve.api import anthropic, deepseek, docs, embeddings, openai, openapi, ops, responses
from seekserve.api.straight import Straight
from seekserve.config import Config
from seekserve.engine.fleet import Fleet
from seekserve.errors import BadRequest, MethodNotAllowed, NotFound, Refusal
from seekserve.gateway.admission import Admission
from seekserve.gateway.caps import Caps
from seekserve.gateway.gauges import gauges
from seekserve.gateway.guard import Guard
from seekserve.gateway.keywatch import KeyWatch
from seekserve.gateway.ledger import Ledger
from seekserve.gateway.relay import Gateway
from seekserve.gateway.trace import Tracing, trace_of
from seekserve.gateway.upstream import Upstream
from seekserve.log import Log
from seekserve.metrics import Metrics

ASIDES = 16
"""Counts of tokens that one engine makes at once, beside what it generates."""


def build(config: Config, fleet: Fleet, log: Log) -> FastAPI:
    """Everything wired, nothing started: the server starts with the lifespan. Raises StartError."""
    metrics = Metrics(_registry())
    keys = KeyWatch(config, log)
    metrics.watch(keys.gauges)
    tier = config.tier
    admission = Admission(fleet, tier.limits, time.monotonic, tier.classes, tier.default_class)
    metrics.watch(lambda: gauges(admission))
    secret = config.engine_key.get_secret_value() if config.engine_key else None
    upstream = Upstream(secret)
    limits = config.tier.limits
    few = limits.model_copy(update={"running": min(ASIDES, limits.running)})
    asides = Admission(fleet, few, time.monotonic)
    caps = Caps(time.monotonic, tier.prices)
    metrics.watch(caps.gauges)
    ledger = Ledger(config.state_dir, tier, log)
    metrics.watch(ledger.gauges)
    caps.spent = ledger.spent
    gateway = Gateway(admission, asides, upstream, config.listen, limits, time.perf_counter, caps)
    endpoints = openai.OpenAI(fleet, gateway, config.tier)
    answers = responses.Responses(fleet, gateway, config.tier)
    messages = anthropic.Anthropic(fleet, gateway, config.tier)
    vectors = embeddings.Embeddings(fleet, gateway, config.tier)
    hot = openai.straight(endpoints) | responses.straight(answers) | anthropic.straight(messages)
    hot |= embeddings.straight(vectors)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with ledger, fleet, keys:
            yield
            upstream.close()

    app = FastAPI(
        title="seekserve",
        version=__version__,
        summary="DeepSeek on your own hardware, behind one endpoint.",
        lifespan=lifespan,
        middleware=[
            Middleware(
                Tracing, metrics=metrics, log=log, shapes=anthropic.shape, settled=ledger.settle
            ),
            Middleware(Guard, ring=lambda: keys.ring, tier=config.tier),
            Middleware(Straight, endpoints=hot),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _no_route},
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.include_router(openai.router(endpoints))
    app.include_router(responses.router(answers))
    app.include_router(anthropic.router(messages))
    app.include_router(embeddings.router(vectors))
    app.include_router(deepseek.router(deepseek.Account(ledger.spent, tier.prices)))
    app.include_router(ops.router(ops.Ops(fleet, metrics)))
    app.include_router(docs.router(lambda: app.openapi()))
    setattr(app, "openapi", lambda: _openapi(app))  # noqa: B010  FastAPI's own way to replace it
    return app


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


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

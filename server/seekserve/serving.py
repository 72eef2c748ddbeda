"""`serve` once it knows what: the fleet, the server and the screen, from start to end."""

from __future__ import annotations

import asyncio
import gc
import os

import uvloop

from seekserve.app import build
from seekserve.choosing import choose
from seekserve.config import Config
from seekserve.engine.engine import State
from seekserve.engine.fleet import Fleet, Launching, assemble
from seekserve.errors import EngineFailed
from seekserve.listener import Server, bound
from seekserve.log import Log
from seekserve.pins import Pins
from seekserve.screen import Screen
from seekserve.settings import Prefer


def run(
    config: Config, screen: Screen, prefer: Prefer | None = None, update_models: bool = False
) -> None:
    """Until it is asked to stop. Raises StartError."""
    pins = Pins(config.state_dir, os.environ, Log(config.log_format), update_models)
    launching = None
    if config.tier.ladder and not config.attach:
        config, launching = choose(config, prefer, screen.console, pins)
    elif not config.attach:
        engine = pins.pinned(config.tier.engine, config.tier.engine.model)
        tier = config.tier.model_copy(update={"engine": engine})
        config = config.model_copy(update={"tier": tier})
    uvloop.run(_serve(config, screen, launching, pins))


async def _serve(config: Config, screen: Screen, launching: Launching | None, pins: Pins) -> None:
    log = Log(config.log_format)
    with bound(config.listen) as listener:
        fleet = assemble(config, log, launching)
        server = Server.of(build(config, fleet, log), config)
        server.stopping = screen.stopping
        _settle_memory()
        fleet.listen(screen.heard)
        fleet.listen(pins.heard)
        watcher = asyncio.create_task(
            _watch(screen, fleet, config, listener.getsockname()[1], server)
        )
        await server.serve(sockets=[listener])
        watcher.cancel()
    if failed := [s for s in fleet.snapshots() if s.state is State.FAILED]:
        raise EngineFailed(f"The engine failed: {failed[0].cause}", failed[0].todo)


async def _watch(screen: Screen, fleet: Fleet, config: Config, port: int, server: Server) -> None:
    """Progress, then the banner; and the end of the server once every engine has failed."""
    with screen.progress():
        while not fleet.ready and not fleet.failed:
            await asyncio.sleep(0.05)
    if fleet.ready:
        screen.banner(config, port, sorted(fleet.cards()))
    while not fleet.failed:
        await asyncio.sleep(0.5)
    server.should_exit = True


def _settle_memory() -> None:
    """What start-up made lives for ever: collecting it again and again is what stalls streams."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)

"""The command line: parses, loads, calls. Alone prints and exits."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from seekserve import __version__
from seekserve.app import build
from seekserve.config import Config, load
from seekserve.engine.engine import State
from seekserve.engine.fleet import Fleet, assemble
from seekserve.errors import ConfigError, EngineFailed, StartError
from seekserve.listener import Server, bound
from seekserve.log import Log
from seekserve.screen import Screen

ABOUT = """Run DeepSeek on your own hardware behind one OpenAI-compatible endpoint.

\b
  seekserve serve                    the demo model, on 127.0.0.1:8000
  seekserve serve --engine URL       in front of a vLLM that already runs
  seekserve serve --tier FILE.yaml   your own model and engine flags

Each command has its own --help. Settings are explained in configs/reference.yaml.
"""

cli = typer.Typer(
    name="seekserve",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cli.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"seekserve {__version__}")
        raise typer.Exit


@cli.command()
def serve(
    tier: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="A shipped tier or a tier file. Default: demo."),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Attach to a running vLLM, http://HOST:PORT or unix:/PATH, instead of launching "
            "one. May be given several times.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to bind; 0 takes any free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="SEEKSERVE_API_KEY", help="Clients must send it. Needed to bind beyond loopback."
        ),
    ] = None,
    engine_api_key: Annotated[
        str | None,
        typer.Option(envvar="SEEKSERVE_ENGINE_API_KEY", help="What attached engines want to see."),
    ] = None,
    log_format: Annotated[
        str, typer.Option(metavar="text|json", help="One line per event, on stderr.")
    ] = "text",
) -> None:
    """Start an engine, or attach to running ones, and serve until Ctrl-C.

    Exit codes: 0 stopped as asked, 2 settings that cannot work, 3 the engine failed.
    """
    screen = Screen(Console(stderr=True))
    try:
        config = load(
            tier,
            attach=tuple(engine or ()),
            api_key=api_key,
            engine_key=engine_api_key,
            listen={"host": host, "port": port},
            log_format=log_format,
            state_dir=_state_dir(),
        )
        uvloop.run(_serve(config, screen))
    except StartError as error:
        screen.failure(error)
        raise typer.Exit(error.exit_code) from error


async def _serve(config: Config, screen: Screen) -> None:
    log = Log(config.log_format)
    with bound(config.listen) as listener:
        fleet = assemble(config, log)
        server = Server.of(build(config, fleet, log), config)
        _settle_memory()
        fleet.listen(screen.heard)
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


def _state_dir() -> Path:
    """Where logs live: SEEKSERVE_STATE_DIR, else the user's state folder."""
    if given := os.environ.get("SEEKSERVE_STATE_DIR"):
        folder = Path(given)
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        folder = Path(base) / "seekserve"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"Cannot write to {folder}: {error.strerror}.",
            "Set SEEKSERVE_STATE_DIR to a folder of yours.",
        ) from error
    return folder


def main() -> None:
    cli()

"""The command line: parses, loads, calls. Alone prints and exits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seekserve import __version__
from seekserve.config import load
from seekserve.errors import ConfigError, StartError
from seekserve.settings import Prefer
from seekserve.verbs import add_planning

ABOUT = """Run DeepSeek on your own hardware behind one OpenAI-compatible endpoint.

\b
  seekserve serve                    the demo model, on 127.0.0.1:8000
  seekserve serve --tier consumer    the best model of that tier that fits this machine
  seekserve serve --engine URL       in front of a vLLM that already runs
  seekserve serve --tier FILE.yaml   your own model and engine flags
  seekserve plan                     which models fit this machine, or any other, and how

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
    prefer: Annotated[
        Prefer | None,
        typer.Option(
            help="Of a tier's models that fit this machine: the most capable (quality), the fastest "
            "(speed) or the smallest (light). Default: what the tier says, mostly quality."
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
    from seekserve.screen import Screen  # what serves takes half a second to load: not for others
    from seekserve.serving import run

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
        run(config, screen, prefer)
    except StartError as error:
        screen.failure(error)
        raise typer.Exit(error.exit_code) from error


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


add_planning(cli)


def main() -> None:
    cli()

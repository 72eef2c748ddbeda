"""`ready` and `prove`: what a container's or a cluster's health checks ask, with an exit code and a line."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from seekserve import readiness, secretfiles
from seekserve.errors import ConfigError
from seekserve.printing import told


def add_health(cli: typer.Typer) -> None:
    for verb in (ready, prove):
        cli.command()(verb)


def ready() -> None:
    """Say whether the server of this state folder takes requests, and which stage it is in.

    Exit codes: 0 it does, 1 it does not, or none runs.
    """
    raise typer.Exit(readiness.main())


def prove(
    url: Annotated[str, typer.Argument(metavar="URL", help="http://HOST:PORT or unix:/PATH")],
) -> None:
    """Ask a vLLM for one token: for liveness probes of engines that no seekserve supervises.

    Its answer is looked at, not its health route, which stays green when the engine hangs. The key it
    wants is SEEKSERVE_ENGINE_API_KEY. It takes 15 seconds at most.
    Exit codes: 0 it makes tokens, 1 it does not, 2 the URL or the key cannot be.
    """
    from seekserve.engine.proving import proved  # httpx is slow to load

    with told():
        if not url.startswith(("http://", "unix:")):
            raise ConfigError(f"{url[:200]} is neither http://HOST:PORT nor unix:/PATH.")
        key = secretfiles.checked("engine's API key", secretfiles.take(secretfiles.ENGINE_KEY))
        found = asyncio.run(proved(url, key))
    typer.echo(f"{url}: {found.words}")
    raise typer.Exit(0 if found.works else 1)

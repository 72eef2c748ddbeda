"""`top`: how servers do, live in a terminal, or once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from seekserve import opsdoor, secretfiles
from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.printing import told

if TYPE_CHECKING:
    from seekserve.terminal.asking import Site

PLAIN_COLUMNS = 100


def top(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Default: the server of this state folder."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with a key of scope operator alone in it, for the URLs. Else "
            "SEEKSERVE_OPERATOR_KEY or SEEKSERVE_OPERATOR_KEY_FILE.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print it once; so it is where no terminal is.")
    ] = False,
) -> None:
    """Show how servers do: engines, tokens, first tokens, the line, KV cache and what happened.

    \b
      seekserve top                       the server of this state folder
      seekserve top http://10.0.0.5:8000 http://10.0.0.6:8000 --key-file operator-key

    q ends it. Exit codes: 0 ended as asked, 1 --once had no answer, 2 settings that cannot work.
    """
    from seekserve.terminal import board

    with told():
        sites = _sites(urls or [], key_file)
    if once or not sys.stdout.isatty():
        answered = asyncio.run(board.snapshot(sites, _console()))
        raise typer.Exit(0 if answered else 1)
    asyncio.run(board.watch(sites, Console(highlight=False)))


def _console() -> Console:
    """A pipe is as wide as one server is drawn well."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_COLUMNS)


def _sites(urls: list[str], key_file: Path | None) -> list[Site]:
    from seekserve.terminal.asking import Site, site

    if urls:
        key = secretfiles.chosen(secretfiles.OPERATOR_KEY, key_file)
        return [site(url, key) for url in urls]
    folder = state_folder()
    if servers := opsdoor.living(folder):
        return [Site(path.name, "http://localhost", socket=path) for path in servers]
    raise ConfigError(
        f"No server runs with the state folder {folder}.",
        "Start one (seekserve serve), name its folder in SEEKSERVE_STATE_DIR, or give a URL.",
    )

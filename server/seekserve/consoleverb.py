"""`console`: the link that signs in to the page of the server that runs, and a browser with it."""

from __future__ import annotations

import html
import os
import sys
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from seekserve import opsdoor
from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.printing import told

LEAF = "console.html"
PAGE = """<!doctype html><meta charset="utf-8"><title>seekserve</title>
<meta http-equiv="refresh" content="0; url={link}"><a href="{link}">The console</a>
"""


def console(
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the link, and open no browser.")
    ] = False,
) -> None:
    """Print the link to the console of this state folder's server, and open it where there is a browser.

    Whoever has the link may look and change; it holds until the server stops.
    """
    with told():
        folder = state_folder()
        link = _link(folder)
        typer.echo(link)
        if not no_open and _window(os.environ):
            _open(folder / LEAF, link)


def _link(folder: Path) -> str:
    door = folder / opsdoor.NAME
    if not opsdoor.lives(door):
        raise ConfigError(
            f"No server runs with the state folder {folder}.",
            "Start one (seekserve serve), or name its folder in SEEKSERVE_STATE_DIR.",
        )
    said = opsdoor.ask(door, "GET", "/console")
    page = said.page if isinstance(said.page, dict) else {}
    if said.status != 200 or not isinstance(page.get("url"), str):
        raise ConfigError(
            "This server has no console.", "It was started without: leave out --no-console."
        )
    return f"{page['url']}#pass={page.get('pass', '')}"


def _window(environ: Mapping[str, str]) -> bool:
    """Whether a browser would have one: in the terminal none is wanted."""
    shown = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return bool(shown) or sys.platform in ("darwin", "win32")


def _open(leaf: Path, link: str) -> None:
    """By way of a file for this user alone: what a browser is started with, everybody on the machine sees."""
    with suppress(OSError, webbrowser.Error):
        leaf.unlink(missing_ok=True)
        with open(leaf, "x", opener=_mine) as file:
            file.write(PAGE.format(link=html.escape(link)))
        webbrowser.open(leaf.absolute().as_uri())


def _mine(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)

"""`ready`: whether the server of this state folder serves, in one line, and if not, why.

A container's health check runs it every few seconds, so it loads no more than it needs: no typer, no
settings, nothing that serves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seekserve import opsdoor
from seekserve.errors import ConfigError
from seekserve.statefolder import state_path

PATIENCE_S = 4.0
WHY_S = 1.0  # for the causes: the first line matters more, and a container's check waits 6 s


def main() -> int:
    """0 when it serves, 1 when it does not (yet); the lines say why."""
    serves, lines = look(state_path())
    sys.stdout.write(lines + "\n")
    return 0 if serves else 1


def look(folder: Path) -> tuple[bool, str]:
    """Whether the server that owns `folder` takes requests, and how far each of its engines is."""
    door = folder / opsdoor.NAME
    if not opsdoor.lives(door):
        return False, f"no server runs with the state folder {folder}"
    try:
        said = opsdoor.ask(door, "GET", "/health/ready", patience_s=PATIENCE_S)
    except ConfigError as error:
        return False, error.message
    page = said.page if isinstance(said.page, dict) else {}
    line = ": ".join([str(page.get("status", said.status)), _engines(page)])
    return (True, line) if said.status == 200 else (False, "\n".join([line, *_causes(door)]))


def _causes(door: Path) -> Iterator[str]:
    """What ended each engine's life before, and what to do about it: for operators, whose door this is."""
    try:
        page = opsdoor.ask(door, "GET", "/engines", patience_s=WHY_S).page
    except ConfigError:
        return
    for engine in page.get("engines") or [] if isinstance(page, dict) else []:
        if cause := engine.get("cause"):
            yield f"{engine.get('name')}: {cause}"
        if remedy := engine.get("remedy"):
            yield f"What to do: {remedy}"


def _engines(page: dict[str, Any]) -> str:
    engines = page.get("engines") or []
    return ", ".join(map(of_engine, engines)) or "no engine"


def of_engine(told: dict[str, Any]) -> str:
    """Such as `engine-0 starting (download, 40%)`, or of several nodes `(nodes, 1 of 2 nodes)`."""
    words = f"{told.get('name')} {told.get('state')}"
    share, nodes = told.get("progress"), told.get("nodes")
    parts = [told["stage"]] if told.get("stage") else []
    parts += [f"{share:.0%}"] if isinstance(share, float) else []
    parts += [f"{nodes.get('joined')} of {nodes.get('wanted')} nodes"] if nodes else []
    return f"{words} ({', '.join(parts)})" if parts else words

"""`reload` and `doctor`: what is done to, and asked of, a server that runs."""

from __future__ import annotations

import typer

from seekserve import opsdoor
from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.printing import told


def add_ops(cli: typer.Typer) -> None:
    for verb in (reload,):
        cli.command()(verb)


def reload() -> None:
    """Have the server of this state folder read its keys and settings again; what runs goes on.

    Exit codes: 0 done, 2 no server runs, or what it read is wrong and nothing was changed.
    """
    with told():
        folder = state_folder()
        servers = opsdoor.living(folder)
        if not servers:
            raise ConfigError(
                f"No server runs with the state folder {folder}.",
                "Start one: seekserve serve. If one runs, give its folder in SEEKSERVE_STATE_DIR and be "
                "the user who runs it.",
            )
        for server in servers:
            said = opsdoor.ask(server, "POST", "/reload")
            if said.status != 200:
                raise _refusal(said)
            for line in said.page["changed"] or ["Nothing has changed."]:
                typer.echo(line)


def _refusal(said: opsdoor.Said) -> ConfigError:
    error = said.page.get("error", {}) if isinstance(said.page, dict) else {}
    return ConfigError(
        str(error.get("message") or f"The server answered {said.status}."),
        str(error.get("todo") or "See its log."),
    )

"""`reload` and `doctor`: what is done to, and asked of, a server that runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from seekserve import opsdoor
from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.printing import Json, data, printed, told

ENGINES_S = 7200.0  # several large models may be loaded, one after another


def add_ops(cli: typer.Typer) -> None:
    for verb in (reload, doctor):
        cli.command()(verb)


def reload(
    engines: Annotated[
        bool,
        typer.Option(
            "--engines",
            help="Start the engines anew as well, one after another; what runs is finished.",
        ),
    ] = False,
) -> None:
    """Have the server of this state folder read its keys and its tier file again; what runs goes on.

    Limits, classes, names and prices hold at once. Engines whose settings changed are replaced, one
    after another, beside the old one where there is room.
    Exit codes: 0 done, 2 no server runs, or what it read is wrong and the old settings stay in force.
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
            route = "/reload?engines=1" if engines else "/reload"
            with Console(stderr=True).status("Reading anew; an engine that changes takes its time"):
                said = opsdoor.ask(server, "POST", route, patience_s=ENGINES_S)
            if said.status != 200:
                raise _refusal(said)
            for line in said.page["changed"] or ["Nothing has changed."]:
                typer.echo(line)


def doctor(
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Examine this tier's engine too, as it would start."
        ),
    ] = None,
    as_data: Json = False,
) -> None:
    """Examine this installation and the server that runs: what is open, old or wrong, and how to mend it.

    Knocks at its doors without a key, and changes nothing. Run it as the user who runs the server.
    Exit codes: 0 nothing is bad, 1 something is, 2 it could not look.
    """
    from seekserve.doctor import examining, page
    from seekserve.doctor.findings import Grade, worst

    with told(as_data):
        found = examining.examine(state_folder(), tier)
    if as_data:
        data(page.plain(found))
    else:
        printed(page.table(found))
        Console(stderr=True).print(page.summary(found), highlight=False)
    raise typer.Exit(1 if worst(found) is Grade.BAD else 0)


def _refusal(said: opsdoor.Said) -> ConfigError:
    error = said.page.get("error", {}) if isinstance(said.page, dict) else {}
    return ConfigError(
        str(error.get("message") or f"The server answered {said.status}."),
        str(error.get("todo") or "See its log."),
    )

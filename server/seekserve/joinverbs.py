"""`join`: this machine as one of several nodes that carry one engine. The head says what to run."""

from __future__ import annotations

from typing import Annotated

import typer

from seekserve.config import state_folder
from seekserve.errors import StartError
from seekserve.meeting import checked_token, place, take_token


def join(
    head: Annotated[
        str,
        typer.Argument(metavar="HEAD[:PORT]", help="What serve --cluster says there (port 29540)."),
    ],
    log_format: Annotated[
        str, typer.Option(metavar="text|json", help="One line per event, on stderr.")
    ] = "text",
) -> None:
    """Be one more node of a server that was started with serve --nodes N --cluster HOST.

    It waits for the head as long as it takes, runs the part of the engine that the head orders, and starts
    it again with the head. SEEKSERVE_NODE_TOKEN must be the head's. Runs until Ctrl-C.

    Exit codes: 0 stopped as asked, 2 settings that cannot work, such as another version than the head's.
    """
    from seekserve.noding import (
        run,  # what runs engines takes half a second to load: not for others
    )
    from seekserve.screen import Patient, Screen

    screen = Screen(Patient(stderr=True))
    try:
        token = checked_token(take_token())
        run(place(head), token, state_folder(), log_format, screen.said)
    except StartError as error:
        screen.failure(error)
        raise typer.Exit(error.exit_code) from error

"""`keys add|list|show|change|rotate|revoke`: who may use the server, changed while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seekserve import keyoptions, keypages
from seekserve.config import read_tier, state_folder
from seekserve.errors import ConfigError
from seekserve.gateway import keychanges, keyfile
from seekserve.gateway.keychanges import Keys
from seekserve.gateway.keys import Key, Scope, mint, new_id
from seekserve.printing import Json, data, printed, printed_whole, told
from seekserve.settings import Tier

keys = typer.Typer(
    help="Keys for clients. A running server follows within two seconds.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(help="The key's name.")]
Taken = Annotated[str | None, typer.Option(metavar="N|none")]


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Who it is for: letters, digits and ._@+-")],
    class_name: Annotated[
        str,
        typer.Option(
            "--class", metavar="NAME", help="A class of the tier. Default: the tier's own."
        ),
    ] = "",
    scope: Annotated[
        Scope,
        typer.Option(
            help="client, or operator: it opens the Console too, and may change keys there."
        ),
    ] = "client",
    models: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="The only models it is for. Default: all."),
    ] = None,
    requests_per_min: Annotated[int | None, typer.Option(metavar="N")] = None,
    tokens_per_min: Annotated[
        int | None, typer.Option(metavar="N", help="Prompt and answer together.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Requests that run at once.")
    ] = None,
    monthly_budget: Annotated[
        float | None, typer.Option(metavar="SUM", help="In the currency of the tier's prices.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="30d|2027-01-31", help="Default: never. Days end in UTC.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="The tier that must know the class.")
    ] = None,
) -> None:
    """Make a key. It is printed once, alone on stdout; only its digest is kept."""  # fmt: skip
    with told():
        now = datetime.now(UTC)
        _known_class(class_name, tier)
        asked = {
            "class_name": class_name,
            "scope": scope,
            "models": keyoptions.listed(models or ()),
            "requests_per_min": requests_per_min,
            "tokens_per_min": tokens_per_min,
            "concurrency": concurrency,
            "monthly_budget": monthly_budget,
            "expires_at": keychanges.expiry("--expires", expires, now) if expires is not None else None,
            "created_at": now,
        }  # fmt: skip
        shown: list[str] = []

        def added(known: Keys) -> Keys:
            keychanges.untaken(known, name)
            id_ = new_id({key.id for key in known})
            text, secret = mint(id_)
            shown.append(text)
            with keyoptions.fitting("add"):
                return (
                    *known,
                    Key.model_validate({**asked, "id": id_, "name": name, "secrets": (secret,)}),
                )

        keyfile.edit(_path(), added)
        typer.echo(shown[-1])
        _note(f"This is the key of {name}. It is not shown again: keep it now.")


@keys.command("list")
def list_(as_data: Json = False) -> None:
    """List the keys, and what each may do."""
    with told(as_data):
        known, now = keyfile.read(_path()).keys, datetime.now(UTC)
        if as_data:
            data([keypages.plain(key, now) for key in known])
        elif known:
            printed_whole(keypages.table(known, now))
        else:
            _note("There are no keys yet. Make one: seekserve keys add NAME")


@keys.command()
def show(name: Name, as_data: Json = False) -> None:
    """Show one key: what it may do, until when, and how its text begins."""
    with told(as_data):
        key, now = keychanges.named(keyfile.read(_path()).keys, name), datetime.now(UTC)
        if as_data:
            data(keypages.plain(key, now))
        else:
            printed(keypages.sheet(key, now))


@keys.command()
def change(
    name: Name,
    class_name: Annotated[str | None, typer.Option("--class", metavar="NAME|none")] = None,
    scope: Annotated[Scope | None, typer.Option()] = None,
    models: Annotated[list[str] | None, typer.Option(metavar="NAME,...|none")] = None,
    requests_per_min: Taken = None,
    tokens_per_min: Taken = None,
    concurrency: Taken = None,
    monthly_budget: Annotated[str | None, typer.Option(metavar="SUM|none")] = None,
    expires: Annotated[str | None, typer.Option(metavar="30d|2027-01-31|none")] = None,
) -> None:
    """Change what a key may do. What is not named stays; none takes a limit away."""
    with told():
        now = datetime.now(UTC)
        given = {
            "class_name": class_name,
            "scope": scope,
            "models": ",".join(models) if models else None,
            "requests_per_min": requests_per_min,
            "tokens_per_min": tokens_per_min,
            "concurrency": concurrency,
            "monthly_budget": monthly_budget,
            "expires_at": expires,
        }
        asked = keyoptions.asked(given, now)
        was: list[tuple[Key, Key]] = []

        def changed(known: Keys) -> Keys:
            with keyoptions.fitting("change"):
                after = keychanges.changed(known, name, asked, now)
            was.append((keychanges.named(known, name), keychanges.named(after, name)))
            return after

        keyfile.edit(_path(), changed)
        if class_name and class_name != keyoptions.NONE:
            _known_class(class_name, None)
        for line in keypages.differences(*was[-1], now) or ["as it was"]:
            _note(f"{name}: {line}")
        _note("A running server follows within two seconds.")


@keys.command()
def rotate(
    name: Name,
    grace: Annotated[
        str, typer.Option(metavar="1h", help="How long the old one works on; 0s ends it at once.")
    ] = "1h",
) -> None:
    """Give a key a new text, printed once, alone on stdout."""
    with told():
        now, lasts = datetime.now(UTC), keychanges.lasting("--grace", grace)
        shown: list[str] = []

        def rotated(known: Keys) -> Keys:
            text, secret = mint(keychanges.named(known, name).id)
            shown.append(text)
            return keychanges.rotated(known, name, secret, lasts, now)

        keyfile.edit(_path(), rotated)
        typer.echo(shown[-1])
        until = keypages.at(keychanges.later(now, lasts))
        end = (
            f"works until {until}"
            if lasts
            else "has ended; a running server refuses it within two seconds"
        )
        _note(f"This is the new key of {name}, not shown again. The old one {end}.")


@keys.command()
def revoke(name: Name) -> None:
    """End a key for good. What it is being answered now is answered to its end."""
    with told():
        now = datetime.now(UTC)
        keyfile.edit(_path(), lambda known: keychanges.revoked(known, name, now))
        _note(f"The key of {name} is revoked. A running server refuses it within two seconds.")


def _path() -> Path:
    return state_folder() / keyfile.NAME


def _known_class(name: str, tier: str | None) -> None:
    """Raises ConfigError where the tier is given; else says that it may be missing there."""
    known: Sequence[str] = tuple(read_tier(tier).classes if tier else Tier(tier="any").classes)
    if not name or name in known:
        return
    words = f"The class {name!r} is none of {', '.join(known)}"
    if tier:
        raise ConfigError(
            f"{words}, which the tier {tier} has.", "Choose one of them, or add it to the tier."
        )
    _note(f"Note: {words}, which tiers have by default. A tier without it refuses this key.")


def _note(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)

"""What the options of `seekserve keys` say of a key, and the words for what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from pydantic import ValidationError

from seekserve.complaints import complaints
from seekserve.errors import ConfigError
from seekserve.gateway import keychanges

NONE = "none"
"""Takes a limit away."""
OPTIONS = {"class_name": "class", "expires_at": "expires"}
"""What an option is called where that is not the field's own name."""


def listed(told: Sequence[str]) -> list[str]:
    return [one.strip() for more in told for one in more.split(",")]


def asked(given: Mapping[str, str | None], now: datetime) -> dict[str, object]:
    """The fields to change, and to what; None for a limit that goes. Raises ConfigError."""
    return {
        field: None if text == NONE else _read(field, text, now)
        for field, text in given.items()
        if text is not None
    }


def _read(field: str, text: str, now: datetime) -> object:
    if field == "expires_at":
        return keychanges.expiry("--expires", text, now)
    return listed([text]) if field == "models" else text


@contextmanager
def fitting(verb: str) -> Iterator[None]:
    """Raises ConfigError, in the words of the options, where a key's fields do not fit."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        option = "NAME" if field == "name" else f"--{OPTIONS.get(field, field).replace('_', '-')}"
        raise ConfigError(
            f"{option} does not fit: {_why(field, complaints(error))}.",
            f"seekserve keys {verb} --help says what each is.",
        ) from error


def _why(field: str, told: str) -> str:
    if field == "name":
        return "a name is up to 64 letters, digits and ._@+-, and begins with a letter or digit"
    return told.splitlines()[0].partition(": ")[2]

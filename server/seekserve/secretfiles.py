"""Secrets that come as files: every variable that holds one has a twin, NAME_FILE, that names a file.

Read once, at the start. What is taken is taken out of the environment, which engines inherit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from seekserve.errors import ConfigError

API_KEY = "SEEKSERVE_API_KEY"
ENGINE_KEY = "SEEKSERVE_ENGINE_API_KEY"
OPS_TOKEN = "SEEKSERVE_OPS_TOKEN"  # noqa: S105  # these are names
NODE_TOKEN = "SEEKSERVE_NODE_TOKEN"  # noqa: S105
OPERATOR_KEY = "SEEKSERVE_OPERATOR_KEY"  # of people who look, not of the server
HUB_TOKEN = "HF_TOKEN"  # noqa: S105
SECRETS = (API_KEY, ENGINE_KEY, OPS_TOKEN, NODE_TOKEN, HUB_TOKEN)
"""The variables that have a twin. The hub's is for what fetches a model: see `hub_token`."""

MOST_BYTES = 64 * 1024
Environ = MutableMapping[str, str]


def take(name: str, given: str | None = None, environ: Environ = os.environ) -> str | None:
    """The secret called `name`: `given` (by a flag, or as a variable that was read already), the variable
    itself, or what stands in the file that its twin names. None where there is none of them.

    Raises ConfigError where there are two, and where the file cannot be used.
    """
    said = environ.pop(name, None)
    path = _only(name, given or said, environ.pop(twin(name), None))
    return _read(twin(name), path) if path else given or said or None


def chosen(name: str, file: Path | None, environ: Environ = os.environ) -> str | None:
    """The secret in the file that --key-file names, which comes before the variable called `name`."""
    return _read("--key-file", file) if file else take(name, environ=environ)


def hub_token(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that HF_TOKEN_FILE names, once it is known to hold a token. What fetches reads it again."""
    path = _only(HUB_TOKEN, environ.get(HUB_TOKEN), environ.get(twin(HUB_TOKEN)))
    if path:
        _read(twin(HUB_TOKEN), path)
    return path


def checked(what: str, key: str | None) -> str | None:
    """Raises ConfigError for a key that is to go in a header and cannot."""
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(
            f"The {what} holds characters that no HTTP header can carry.",
            "Use letters, digits, - and _ alone, without a space or a line's end.",
        )
    return key


def twin(name: str) -> str:
    return f"{name}_FILE"


def _only(name: str, given: str | None, file: str | None) -> Path | None:
    if given and file:
        raise ConfigError(
            f"{name} and {twin(name)} are both given, and only one can hold.",
            f"Leave one of them out; {twin(name)} is {file[:200]}.",
        )
    return Path(file) if file else None


def _read(variable: str, path: Path) -> str:
    """Without the line's end and the mark of the encoding that editors add. Never said: what stands in it."""
    try:
        with open(path, "rb", opener=_waiting_for_nobody) as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unusable(variable, path, f"cannot be read: {error.strerror}") from error
    if text is None:
        raise _unusable(variable, path, "is a pipe into which nobody has written yet")
    if len(text) > MOST_BYTES:
        raise _unusable(variable, path, f"is larger than {MOST_BYTES // 1024} KiB: it is no secret")
    try:
        secret = text.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _unusable(variable, path, "is not text") from error
    if not secret:
        raise _unusable(variable, path, "is empty")
    if not secret.isprintable():
        raise _unusable(variable, path, "holds more than one line of text")
    return secret


def _waiting_for_nobody(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _unusable(variable: str, path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path}, which {variable} names, {why}.",
        f"It must be a file with the secret alone in it, readable by user {os.geteuid()}, who runs "
        f"this; or unset {variable}.",
    )

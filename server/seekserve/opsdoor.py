"""How a command speaks to the servers that run: over the sockets in their state folder."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seekserve.errors import ConfigError

NAME = "ops.sock"
PATIENCE_S = 60.0
MOST_BYTES = 16 << 20


class Said(NamedTuple):
    status: int
    page: Any


def others(folder: Path) -> list[Path]:
    """Sockets of servers that came second to a folder."""
    return sorted(folder.glob("ops-*.sock"))


def lives(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def living(folder: Path) -> list[Path]:
    return [path for path in (folder / NAME, *others(folder)) if lives(path)]


def ask(
    path: Path,
    method: str,
    route: str,
    body: Mapping[str, Any] | None = None,
    patience_s: float = PATIENCE_S,
) -> Said:
    """The answer's status and JSON. Raises ConfigError when nobody answers as a server of ours does."""
    connection = _Unix(str(path), patience_s)
    told = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, route, told, {"content-type": "application/json"})
        answer = connection.getresponse()
        return Said(answer.status, json.loads(answer.read(MOST_BYTES)))
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"The server behind {path} does not answer: {why}.",
            "See its log; if it hangs, stop it and start it again.",
        ) from error
    finally:
        connection.close()


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, patience_s: float) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

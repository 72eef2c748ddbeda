"""A listening socket before anything starts behind it, or why there can be none; and the URL of one.

The API, the operators' port and the nodes' door are all opened here; each says which words of the command
line would choose another place.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from seekserve.errors import ConfigError, PortTaken
from seekserve.settings import Listen, authority


@contextmanager
def bound(listen: Listen, backlog: int, instead: str) -> Iterator[socket.socket]:
    """Listening at `listen`, and closed on the way out. Raises PortTaken or ConfigError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((listen.host, listen.port))
        except OSError as error:
            raise _why(listen, instead, error) from error
        listener.listen(backlog)
        yield listener


def _why(listen: Listen, instead: str, error: OSError) -> PortTaken | ConfigError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {listen.port} on {listen.host} is taken by another program.",
            f"Stop that one, or choose another, such as {instead}.",
        )
    if error.errno == errno.EACCES:
        return PortTaken(
            f"Port {listen.port} needs root.", f"Choose one above 1023, such as {instead}."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(
            f"{listen.host} is no address of this machine.", "Give one of its own, or 0.0.0.0."
        )
    where = authority(listen.host, listen.port)
    return ConfigError(f"Cannot listen on {where}: {error.strerror or error}.")


def url_of(listen: Listen) -> str:
    """Where this machine reaches what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return f"http{'s' if listen.tls_cert else ''}://{authority(host, listen.port)}"

"""Knocks without a key: at the server's own doors, and at engines that it was attached to."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
from collections.abc import Iterable

from seekserve.doctor.doors import KNOCKS
from seekserve.doctor.facts import Attachment, Door, Reply

PATIENCE_S = 1.0
MOST_BYTES = 64 * 1024
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  what to dial for "all"


def replies(door: Door, knocks: Iterable[tuple[str, str]] = KNOCKS) -> tuple[Reply, ...]:
    found = (
        Reply(method, path, _status(door.host, door.port, method, path, door.tls))
        for method, path in knocks
    )
    return tuple(reply for reply in found if reply.status)


def speaks_http(host: str, port: int) -> bool:
    return bool(_status(host, port, "GET", "/health"))


def attachment(url: str) -> Attachment:
    """What an engine answers to whoever has no key."""
    if url.startswith("unix:"):
        return Attachment(url, unix=True, loopback=True)
    rest = url.removeprefix("http://").partition("/")[0]
    host, _, number = rest.rpartition(":") if rest[-1:] != "]" and ":" in rest else (rest, "", "80")
    host, port = host.strip("[]"), int(number) if number.isdigit() else 80
    return Attachment(
        url,
        unix=False,
        loopback=_loopback(host),
        models_status=_status(host, port, "GET", "/v1/models"),
        dev_status=_status(host, port, "GET", "/is_sleeping"),
        version=_version(host, port),
    )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _status(host: str, port: int, method: str, path: str, tls: bool = False) -> int:
    """0 where nothing answers as a web server would."""
    try:
        return _ask(host, port, method, path, tls)[0]
    except (OSError, http.client.HTTPException):
        return 0


def _version(host: str, port: int) -> str:
    try:
        told = json.loads(_ask(host, port, "GET", "/version")[1])
        return str(told["version"])[:40]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""


def _ask(host: str, port: int, method: str, path: str, tls: bool = False) -> tuple[int, bytes]:
    host = HERE.get(host, host)
    if tls:
        # It is this machine's own server: whose certificate it shows does not matter here.
        context = ssl._create_unverified_context()  # noqa: S323
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=PATIENCE_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, b"" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    finally:
        connection.close()

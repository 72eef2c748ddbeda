"""Who may ask. Every route is closed unless it is listed as open.

Keys are kept as SHA-256 digests and compared in constant time. Without a key the server is open, and
then it is bound to loopback (config sees to that): what can still reach it are pages in a browser of
this machine, so foreign `Origin` and `Host` headers are turned away.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from seekserve.config import hash_key
from seekserve.errors import Forbidden, Refusal, Unauthenticated
from seekserve.gateway.trace import refuse

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


class Keyring:
    """The digests of the keys that are let in. Empty means open."""

    def __init__(self, hashes: tuple[bytes, ...]) -> None:
        self._hashes = hashes

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def __repr__(self) -> str:
        return f"<Keyring {len(self._hashes)} keys>"

    def knows(self, key: str) -> bool:
        """Every digest is compared, whatever the outcome so far, so that time tells nothing."""
        digest = hash_key(key)
        found = False
        for known in self._hashes:
            found |= hmac.compare_digest(digest, known)
        return found


class Guard:
    """ASGI middleware in front of every route. Decides on `scope["path"]`, never on a header."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app, self._keyring = app, keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                self._check(dict(scope["headers"]))
            except Refusal as refusal:
                await refuse(refusal, scope, send)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: dict[bytes, bytes]) -> None:
        if not self._keyring:
            _from_here(headers)
            return
        key = _presented(headers)
        if not key:
            raise Unauthenticated("No API key. Send it as: Authorization: Bearer YOUR_KEY.")
        if not self._keyring.knows(key):
            raise Unauthenticated(
                "This API key is not known here. Check it for missing characters."
            )


def _presented(headers: dict[bytes, bytes]) -> str:
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get(b"x-api-key", b"").decode("latin-1").strip()


def _from_here(headers: dict[bytes, bytes]) -> None:
    """Refuses what a web page could send to an open server: another site's Origin, a rebound Host."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and not _is_local(origin):
        raise Forbidden(
            f"A page from {origin[:80]} may not use this server while it is open. "
            "Start it with --api-key to allow that."
        )
    host = headers.get(b"host", b"localhost").decode("latin-1")
    if not _is_local(f"//{host}"):
        raise Forbidden(
            f"The Host header says {host[:80]!r}, but this open server is only for this machine. "
            "Start it with --api-key to serve others."
        )


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Who may ask: the ASGI middleware that turns a header into a key. Every route is closed unless listed.

Without any key the server may be open, which is decided once, at its start. Bound to loopback, what
can still reach it are pages in a browser of this machine, so foreign `Origin` and `Host` headers are
turned away. A Host that is none, or two, is refused everywhere: what stands before us may have read it
otherwise.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from seekserve.errors import BadRequest, Forbidden, Refusal, Unauthenticated
from seekserve.gateway.keys import Found, Key, Keyring
from seekserve.gateway.knocks import Knocks
from seekserve.gateway.record import trace_of
from seekserve.gateway.trace import refuse
from seekserve.settings import Tier

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?")


class Words(NamedTuple):
    """What is said to who brings nothing, and to who brings what is not known."""

    missing: str
    unknown: str


OF_KEYS = Words(
    "No API key. Send it as: Authorization: Bearer YOUR_KEY.",
    "This API key is not known here. Check it for missing characters.",
)
OF_THE_TOKEN = Words(
    "No token. Operators send what SEEKSERVE_OPS_TOKEN holds, as: Authorization: Bearer TOKEN.",
    "This is not what SEEKSERVE_OPS_TOKEN holds. API keys of clients do not open this port.",
)


class Guard:
    """Decides on `scope["path"]`, never on a header. Puts the key into `scope["key"]`, where there is
    one, and its name and class on the trace. `ring` says which keyring is in force now.
    """

    def __init__(
        self,
        app: ASGIApp,
        ring: Callable[[], Keyring],
        tier: Tier,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        words: Words = OF_KEYS,
    ) -> None:
        self._words = words
        self._app, self._ring, self._tier, self._now = app, ring, tier, now
        self._clock, self._knocks = clock, Knocks(tier.limits.wrong_keys_per_min)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            try:
                self._check(scope, dict(scope["headers"]))
            except Refusal as refusal:
                await refuse(refusal, scope, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        one_host(scope["headers"])
        if scope["path"] in OPEN_PATHS:
            return
        ring = self._ring()
        if ring.door == "closed":
            scope["key"] = self._admitted(ring, scope, presented(headers))
            return
        if ring.door == "local":
            from_here(headers)
        trace_of(scope).key_class = self._tier.default_class

    def _admitted(self, ring: Keyring, scope: Scope, shown: str) -> Key:
        if not shown:
            raise Unauthenticated(self._words.missing)
        found = ring.find(shown)
        if found is None:
            raise self._knocks.wrong(peer(scope), self._clock()) or Unauthenticated(
                self._words.unknown
            )
        trace = trace_of(scope)
        trace.key = found.key.name
        if over := ended(found, self._now()):
            raise over
        trace.key_class = self._class_of(found.key)
        return found.key

    def _class_of(self, key: Key) -> str:
        if not key.class_name:
            return self._tier.default_class
        if key.class_name not in self._tier.classes:
            raise Forbidden(
                f"This API key is of the class {key.class_name!r}, which the tier that serves here "
                f"does not have: {', '.join(self._tier.classes)}. Whoever runs this server must add "
                "the class to the tier, or give out a key of another.",
                code="unknown_class",
            )
        return key.class_name


def ended(found: Found, now: datetime) -> Unauthenticated | None:
    """Why a key that is ours holds no longer; None while it does."""
    key, secret = found
    if key.revoked_at:
        return _over(f"was revoked on {_at(key.revoked_at)}", "api_key_revoked")
    if key.expires_at and key.expires_at <= now:
        return _over(f"expired on {_at(key.expires_at)}", "api_key_expired")
    if secret.until and secret.until <= now:
        return _over(f"was replaced by a newer one on {_at(secret.until)}", "api_key_replaced")
    return None


def _over(what: str, code: str) -> Unauthenticated:
    return Unauthenticated(
        f"This API key {what}. Ask whoever gave it to you for a new one.", code=code
    )


def _at(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def presented(headers: dict[bytes, bytes]) -> str:
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get(b"x-api-key", b"").decode("latin-1").strip()


def peer(scope: Scope) -> str:
    """Who is connected. A header that says otherwise is anybody's to write."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def one_host(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuses what different readers take for different hosts (CVE-2026-48710, BadHost)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
        what = (
            f"There are {len(hosts)} Host headers" if len(hosts) > 1 else "The Host header is none"
        )
        raise BadRequest(
            f"{what}. Send one, with a name or an address and a port, such as localhost:8000.",
            code="invalid_host",
        )


def from_here(headers: dict[bytes, bytes]) -> None:
    """Refuses what a web page could send to an open server: another site's Origin, a rebound Host."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and not _is_local(origin):
        raise Forbidden(
            f"A page from {origin[:80]} may not use this server while it is open. "
            "Add a key (seekserve keys add NAME) to allow that."
        )
    host = headers.get(b"host", b"localhost").decode("latin-1")
    if not _is_local(f"//{host}"):
        raise Forbidden(
            f"The Host header says {host[:80]!r}, but this open server is only for this machine. "
            "Add a key (seekserve keys add NAME) to serve others."
        )


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

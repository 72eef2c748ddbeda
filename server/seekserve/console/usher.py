"""Who may look at the Console, and who may change what it shows: decided here, before the clients' Guard.

The page itself is no secret. Its data wants the pass of this start, a live key of scope operator, or, to
look alone, the ops token. Where requests need no key at all, this machine may look. No cookie is ever set
and no other origin allowed, so a browser sends nothing of itself that would let a foreign page in.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from seekserve.config import hash_key
from seekserve.console.pages import GUARDED, Pages, answer
from seekserve.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Refusal,
    Unauthenticated,
)
from seekserve.gateway.guard import ended, from_here, one_host, peer, presented
from seekserve.gateway.keys import Keyring
from seekserve.gateway.knocks import Knocks
from seekserve.gateway.record import trace_of

Side = Literal["api", "ops"]
DATA = "/console/api/"
PASSED_ON = frozenset((b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"))
"""A proxy beside us has this machine's address, and often writes its Host: these say that others ask."""
SIGN_IN = (
    "Open it by the link that seekserve console prints, or sign in with a key of scope operator."
)


class Guest(NamedTuple):
    """One who was let in. `holds` says whether what let it in still does."""

    side: Side
    may_change: bool
    holds: Callable[[], bool] = lambda: True


Admit = Callable[[Scope], Guest]
"""Raises Refusal for one who may not even look."""


class Pass:
    """Made at each start and kept in memory alone: whoever has it may look and change."""

    def __init__(self) -> None:
        self.text = secrets.token_urlsafe(32)

    def __repr__(self) -> str:
        return "<Pass>"

    def fits(self, text: str) -> bool:
        return hmac.compare_digest(hash_key(text), hash_key(self.text))


class Rules:
    """Who is let in on a TCP port. `ring` says which keys and which door are in force now, `token` is the
    digest of what scrapes send.
    """

    def __init__(
        self,
        side: Side,
        ring: Callable[[], Keyring],
        own: Pass,
        wrong_per_min: int,
        token: bytes | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._side, self._ring, self._own, self._token, self._now = side, ring, own, token, now
        self._knocks = Knocks(wrong_per_min)

    def __call__(self, scope: Scope) -> Guest:
        headers = dict(scope["headers"])
        one_host(scope["headers"])
        _same_page(headers)
        if not (shown := presented(headers)):
            return self._of_here(headers)
        if self._own.fits(shown):
            return Guest(self._side, True)
        if self._token and hmac.compare_digest(hash_key(shown), self._token):
            return Guest(self._side, False)
        return self._by_key(scope, shown)

    def _of_here(self, headers: dict[bytes, bytes]) -> Guest:
        """Without anything shown: as open to this machine as the side's own routes are."""
        if not self._open():
            raise Unauthenticated("The Console's data is for operators.")
        if not headers.keys().isdisjoint(PASSED_ON):
            raise Unauthenticated("This came by way of a proxy, and only this machine may look.")
        from_here(headers)
        return Guest(self._side, False, self._open)

    def _open(self) -> bool:
        return self._ring().door == "local" if self._side == "api" else not self._token

    def _by_key(self, scope: Scope, shown: str) -> Guest:
        found = self._ring().find(shown)
        if found is None:
            raise self._knocks.wrong(peer(scope), time.monotonic()) or Unauthenticated(
                "This is neither the pass of this start of the server nor one of its keys."
            )
        trace_of(scope).key = found.key.name
        if over := ended(found, self._now()):
            raise over
        if found.key.scope != "operator":
            raise Forbidden(
                f"The key {found.key.name} is a client's, and this is for operators: "
                "seekserve keys add NAME --scope operator."
            )
        return Guest(self._side, True, lambda: self._still(shown))

    def _still(self, shown: str) -> bool:
        found = self._ring().find(shown)
        operator = found is not None and found.key.scope == "operator"
        return operator and found is not None and not ended(found, self._now())


class Usher:
    """ASGI middleware: what begins with /console is answered here, the rest goes on. `admit` decides who
    may have the data, which `data` tells; without `pages` there are none on this side.
    """

    def __init__(self, app: ASGIApp, admit: Admit, data: ASGIApp, pages: Pages | None) -> None:
        self._app, self._admit, self._data, self._pages = app, admit, data, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._ours(scope["path"]):
            try:
                await self._told(scope, receive, send)
            finally:  # the keys' desk calls it the operators' own
                trace_of(scope).route = "console"
        else:
            await self._app(scope, receive, send)

    def _ours(self, path: str) -> bool:
        """On a side without pages /console itself is somebody else's to answer."""
        return path.startswith("/console/") or (path == "/console" and self._pages is not None)

    async def _told(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"].startswith(DATA):
                scope["guest"] = self._admitted(scope)
                await self._data(scope, receive, send)
                return
            page = self._page(scope)
        except Refusal as refusal:
            trace_of(scope).refused(refusal)
            page = refused(refusal)
        await page(scope, receive, send)

    def _admitted(self, scope: Scope) -> Guest:
        guest = self._admit(scope)
        if scope["method"] not in ("GET", "HEAD"):
            if not guest.may_change:
                raise Forbidden("Looking is allowed here without a key, changing is not.")
            kind = Request(scope).headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise BadRequest("A change is sent with Content-Type: application/json.")
        return guest

    def _page(self, scope: Scope) -> Response:
        one_host(scope["headers"])
        file = self._pages.find(scope["path"]) if self._pages else None
        if scope["path"] == "/console/":
            return Response(status_code=308, headers={**GUARDED, "location": "/console"})
        if file is None:
            raise NotFound("There is no such page.", code="no_route")
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']}: the page can only be read.")
        return answer(file, Request(scope).headers.get("if-none-match", ""))


def _same_page(headers: dict[bytes, bytes]) -> None:
    """Where a browser says who asks, it is our own page, or a person who typed the address."""
    site = headers.get(b"sec-fetch-site", b"none")
    if site not in (b"same-origin", b"none"):
        raise Forbidden("A page from elsewhere may not use the Console.")


def refused(refusal: Refusal) -> Response:
    """As the page reads it: what happened, and what to do."""
    todo = SIGN_IN if refusal.status in (401, 403) else ""
    told = JSONResponse({"error": {"message": refusal.message, "todo": todo}}, refusal.status)
    own = [one for one in refusal.headers(0) if one[0] in (b"retry-after", b"www-authenticate")]
    told.raw_headers += own
    told.headers.update({**GUARDED, "cache-control": "no-store"})
    return told

"""The Console as a whole: what it looks at, what it keeps, and its three doors.

It lasts as long as the server; a configuration that is read anew is followed. Nothing of the gateway
waits for it: it is told what is over, and reads the rest.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seekserve import __version__
from seekserve.api.opskeys import KeyDesk
from seekserve.binding import url_of
from seekserve.config import Config
from seekserve.console import telling
from seekserve.console.aside import Aside
from seekserve.console.desk import Desk
from seekserve.console.happenings import Happenings
from seekserve.console.history import History
from seekserve.console.live import Live
from seekserve.console.looking import Looking
from seekserve.console.pages import Pages
from seekserve.console.plans import Look, Plans
from seekserve.console.pulse import Pulse
from seekserve.console.saying import Said
from seekserve.console.tally import Tally
from seekserve.console.usher import Guest, Pass, Rules, Usher
from seekserve.engine.fleet import Fleet
from seekserve.gateway import ledgerfile
from seekserve.gateway.admission import Admission
from seekserve.gateway.closing import Closing
from seekserve.gateway.keys import Keyring
from seekserve.gateway.ledger import BILLED
from seekserve.gateway.record import CLIENT_GONE, Trace, trace_of
from seekserve.log import Log
from seekserve.plan.wish import Plan


class Rooms(NamedTuple):
    """What it looks at. `ring` says which keys are in force, `plan` what was chosen for this machine."""

    fleet: Fleet
    admission: Admission
    ring: Callable[[], Keyring]
    keys: KeyDesk
    closing: Closing
    log: Log
    plan: Callable[[], Plan | None]
    look: Look


class Console:
    def __init__(self, config: Config, rooms: Rooms) -> None:
        self._config, self._rooms = config, rooms
        self._started_at, self._own, self._pages = time.time(), Pass(), Pages()
        self._live, self._tally, self._happenings = Live(), Tally(), Happenings()
        self._plans, history = Plans(rooms.look, rooms.plan), History()
        look = Looking(rooms.fleet, rooms.admission, self._tally)
        news = self._happenings.news
        engines, shared = self._engines, self._shared
        self._pulse = Pulse(self._live, history, look, engines, news, shared, rooms.log)
        aside = Aside()
        desk = Desk(
            self._live,
            history,
            self._happenings,
            rooms.keys,
            config.state_dir / ledgerfile.FILE,
            aside,
            rooms.closing,
            self._state,
            lambda: self._plans.told(self._config, rooms.fleet.snapshots()),
        )
        self._data = desk.app()
        rooms.admission.first = self._tally.first
        rooms.log.listen(self._happenings.heard)
        rooms.closing.listen(self._live.end)
        rooms.closing.listen(self._plans.end)
        rooms.closing.listen(aside.end)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self._happenings.add(Said("server", "info", f"seekserve {__version__} started"))
        async with self._pulse:
            yield

    def adopt(self, config: Config) -> None:
        self._config = config
        self._plans.forget()

    def over(self, trace: Trace) -> None:
        """A request is over."""
        if trace.route in BILLED:
            status = trace.status or CLIENT_GONE
            refused = bool(trace.reason) and (400 <= status < CLIENT_GONE or status == 503)
            self._tally.over(trace.key_class, refused, trace.tokens)
        self._happenings.over(trace)

    @property
    def shown(self) -> bool:
        """Whether there is a page. Without one its data is still told on ops.sock."""
        return self._config.listen.console

    def on_api(self) -> list[Middleware]:
        """On the clients' port."""
        most = self._config.tier.limits.wrong_keys_per_min
        return self._before(Rules("api", self._rooms.ring, self._own, most))

    def on_port(self) -> list[Middleware]:
        """On the port for scrapes."""
        most, token = self._config.tier.limits.wrong_keys_per_min, self._config.ops_token
        return self._before(Rules("ops", self._rooms.ring, self._own, most, token))

    def _before(self, admit: Rules) -> list[Middleware]:
        usher = Middleware(Usher, admit=admit, data=self._data, pages=self._pages)
        return [usher] if self.shown else []

    def on_socket(self) -> Middleware:
        """On ops.sock: whoever opened that may do everything."""
        return Middleware(Usher, admit=lambda _: Guest("ops", True), data=self._data, pages=None)

    async def link(self, request: Request) -> Response:
        """Where the page is and what signs in to it: for ops.sock alone."""
        trace_of(request.scope).route = "console"
        return JSONResponse({"url": self.url, "pass": self._own.text})

    @property
    def url(self) -> str:
        return f"{url_of(self._config.listen)}/console"

    @property
    def signed(self) -> str:
        """The link that signs in."""
        return f"{self.url}#pass={self._own.text}"

    def _engines(self) -> list[dict[str, Any]]:
        return [telling.engine(one) for one in self._rooms.fleet.engines]

    def _shared(self) -> dict[str, Any]:
        door = self._rooms.ring().door
        return telling.shared(self._config, self._rooms.fleet, door, self._started_at)

    def _state(self, guest: Guest) -> dict[str, Any]:
        door = self._rooms.ring().door
        return telling.state(self._config, self._rooms.fleet, door, guest, self._started_at)

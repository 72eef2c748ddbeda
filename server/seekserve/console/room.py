"""The Console as a whole: what it looks at, what it keeps, and its three doors.

It lasts as long as the server; a configuration that is read anew is followed. Nothing of the gateway
waits for it: it is told what is over, and reads the rest.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seekserve.config import Config
from seekserve.console import telling
from seekserve.console.desk import Desk
from seekserve.console.live import Live
from seekserve.console.pages import Pages
from seekserve.console.pulse import Pulse
from seekserve.console.usher import Guest, Pass, Rules, Usher
from seekserve.engine.fleet import Fleet
from seekserve.gateway.closing import Closing
from seekserve.gateway.keys import Keyring
from seekserve.log import Log


class Console:
    """`ring` says which keys are in force."""

    def __init__(
        self, config: Config, fleet: Fleet, ring: Callable[[], Keyring], closing: Closing, log: Log
    ) -> None:
        self._config, self._fleet, self._ring = config, fleet, ring
        self._started_at, self._own, self._pages = time.time(), Pass(), Pages()
        self._live = Live()
        self._pulse = Pulse(self._live, dict, self._engines, list, log)
        self._data = Desk(self._live, self._state).app()
        closing.listen(self._live.end)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._pulse:
            yield

    def adopt(self, config: Config) -> None:
        self._config = config

    def on_api(self) -> Middleware:
        """On the clients' port."""
        rules = Rules("api", self._ring, self._own, self._config.tier.limits.wrong_keys_per_min)
        return Middleware(Usher, admit=rules, data=self._data, pages=self._pages)

    def on_port(self) -> Middleware:
        """On the port for scrapes."""
        most, token = self._config.tier.limits.wrong_keys_per_min, self._config.ops_token
        rules = Rules("ops", self._ring, self._own, most, token)
        return Middleware(Usher, admit=rules, data=self._data, pages=self._pages)

    def on_socket(self) -> Middleware:
        """On ops.sock: whoever opened that may do everything."""
        return Middleware(Usher, admit=lambda _: Guest("ops", True), data=self._data, pages=None)

    async def link(self, request: Request) -> Response:
        """Where the page is and what signs in to it: for ops.sock alone."""
        return JSONResponse({"url": self.url, "pass": self._own.text})

    @property
    def url(self) -> str:
        return f"{self._config.listen.url}/console"

    @property
    def signed(self) -> str:
        """The link that signs in."""
        return f"{self.url}#pass={self._own.text}"

    def _engines(self) -> list[dict[str, Any]]:
        return [telling.engine(one) for one in self._fleet.engines]

    def _state(self, guest: Guest) -> dict[str, Any]:
        door = self._ring().door
        return telling.state(self._config, self._fleet, door, guest, self._started_at)

"""What operators may change while the server runs: the configuration read again, an engine restarted.

How that is done is handed in; here it is asked for one at a time, logged, and told. An action says what
it changed in sentences, or raises StartError, and then everything is as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seekserve.engine.fleet import Fleet
from seekserve.errors import StartError, UnknownName
from seekserve.gateway.record import trace_of
from seekserve.log import Log
from seekserve.metrics import Reading

Reload = Callable[[bool], Awaitable[Sequence[str]]]
"""`True` starts the engines anew as well."""
Restart = Callable[[str], Awaitable[Sequence[str]]]


class Actions:
    def __init__(self, fleet: Fleet, log: Log, reload: Reload, restart: Restart) -> None:
        self._fleet, self._log = fleet, log
        self._do_reload, self._do_restart = reload, restart
        self._one = asyncio.Lock()
        self._reloads = {"done": 0, "failed": 0}
        self._failing = False

    async def reload(self, request: Request) -> Response:
        trace_of(request.scope).route = "ops"
        engines = request.query_params.get("engines", "") in ("1", "true")
        return _told(await self._done("reload", "", lambda: self._reloaded(engines)))

    async def restart(self, request: Request) -> Response:
        trace_of(request.scope).route = "ops"
        name = request.path_params["name"]
        known = [snapshot.name for snapshot in self._fleet.snapshots()]
        if name not in known:
            raise UnknownName(
                f"There is no engine {name[:80]!r}.", f"Known: {', '.join(known) or 'none'}."
            )
        return _told(await self._done("restart", name, lambda: self._do_restart(name)))

    async def hangup(self) -> None:
        """SIGHUP: a reload that nobody waits for, so the log alone says what came of it."""
        try:
            await self._done("reload", "", lambda: self._reloaded(False))
        except StartError:
            return  # logged already

    def gauges(self) -> list[Reading]:
        counts = [((outcome,), float(count)) for outcome, count in self._reloads.items()]
        return [
            ("reloads_total", "Reloads by outcome.", ("outcome",), counts),
            (
                "reload_failing",
                "1 while the last reload failed and the configuration before it stays in force.",
                (),
                [((), float(self._failing))],
            ),
        ]

    async def _reloaded(self, engines: bool) -> Sequence[str]:
        try:
            changed = await self._do_reload(engines)
        except StartError:
            self._booked(failed=True)
            raise
        self._booked(failed=False)
        return changed

    def _booked(self, failed: bool) -> None:
        self._reloads["failed" if failed else "done"] += 1
        self._failing = failed

    async def _done(
        self, action: str, of: str, do: Callable[[], Awaitable[Sequence[str]]]
    ) -> Sequence[str]:
        async with self._one:
            try:
                changed = await do()
            except StartError as error:
                self._log.event("ops", action=action, of=of or None, failed=error.message)
                raise
        said = "; ".join(changed)[:2000] or "nothing"
        self._log.event("ops", action=action, of=of or None, changed=said)
        return changed


def _told(changed: Sequence[str]) -> Response:
    return JSONResponse({"changed": list(changed)})

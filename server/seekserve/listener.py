"""The server's connections, signals and end: it stops last, when what came before the signal is answered."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from seekserve.config import Config
from seekserve.doorway import Doorway, seats
from seekserve.gateway.closing import Closing
from seekserve.log import Log
from seekserve.tls import Certificate
from seekserve.wire import HttpProtocol

BACKLOG = 2048
TICKS = 5
"""Of uvicorn's ten a second: in so many every connection has been looked at."""
STEP_S, TELL_S = 0.05, 2.0
LAST_WORDS_S = 1
"""After the drain: for error events to be written, and for clients to read what they were sent."""


class Server(uvicorn.Server):
    """uvicorn, with signals ours: the first asks it to finish, the second to drop what runs.

    From the first on new requests are refused, while those that run or wait have `drain_s` to end.
    `stopping` hears of each signal, and whether it is not the first; `hurry` of each that is not; `draining`,
    while that takes long, of how many still run and the seconds they have left.
    """

    stopping: Callable[[bool], None] = staticmethod(lambda again: None)
    hurry: Callable[[], None] = staticmethod(lambda: None)
    draining: Callable[[int, float], None] = staticmethod(lambda running, left_s: None)

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        closing: Closing | None = None,
        certificate: Certificate | None = None,
        log: Log | None = None,
    ) -> None:
        super().__init__(_quiet(app))
        self._listen, self._running = config.listen, config.tier.limits.running
        self._closing, self._certificate = closing or Closing(), certificate
        self._log = log or Log(config.log_format)
        self._doorways: list[Doorway] = []
        self._unseen: list[HttpProtocol] = []
        self._share = 1

    # In uvicorn's order.

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])  # the lifespan alone
        most = seats(self._listen.connections, self._running, self._log)
        for listener in sockets or ():
            self._doorways.append(
                Doorway(
                    listener,
                    self._protocol,
                    lambda: len(self.server_state.connections),
                    most,
                    lambda: self._certificate.context if self._certificate else None,
                    self._listen.head_s,
                    self._log,
                )
            )

    def _protocol(self) -> HttpProtocol:
        state = self.server_state
        return HttpProtocol(self.config, state, self.lifespan.state, self._listen, self._closing)

    async def main_loop(self) -> None:
        async with self._watched():
            await self.until_asked()
            await self._finish()

    async def until_asked(self) -> None:
        """To stop."""
        await super().main_loop()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        if self._certificate is None:
            yield
            return
        async with self._certificate:
            yield

    async def on_tick(self, counter: int) -> bool:
        self._look()
        return await super().on_tick(counter)

    def _look(self) -> None:
        """At some of the connections each time, so that thousands of them stall nobody's stream."""
        if not self._unseen:
            self._unseen = list(self._connections())
            self._share = -(-len(self._unseen) // TICKS)
        now = asyncio.get_running_loop().time()
        for connection in self._unseen[-self._share :]:
            connection.look(now)
        del self._unseen[-self._share :]

    def _connections(self) -> Iterator[HttpProtocol]:
        return (one for one in self.server_state.connections if isinstance(one, HttpProtocol))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for doorway in self._doorways:
            await doorway.close()
        await super().shutdown(sockets)

    # The end.

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would raise the signal again after serving, past our orderly exit."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        self.stopping(self.should_exit)
        if self.should_exit:
            self.hurry()
        self.force_exit, self.should_exit = self.should_exit, True
        self._close_to_new()

    def _close_to_new(self) -> None:
        self._closing.begin()
        for connection in self._connections():
            connection.be_last()

    async def _finish(self) -> None:
        """Waits for what runs and what is in line. What is left when its time is over is told so."""
        self._close_to_new()
        await self._wait(self._listen.drain_s)
        if not self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            await self._wait(LAST_WORDS_S)

    async def _wait(self, patience_s: float) -> None:
        clock = asyncio.get_running_loop().time
        told_at, deadline = clock(), clock() + patience_s
        while self.server_state.tasks and not self.force_exit and clock() < deadline:
            await asyncio.sleep(STEP_S)
            self._look()
            if clock() - told_at > TELL_S:
                told_at = clock()
                self.draining(len(self.server_state.tasks), deadline - told_at)


def _quiet(app: ASGIApp) -> uvicorn.Config:
    # uvicorn warns of every head that is none: lines that anybody could fill the log with
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",  # what is installed beside us must not open a door that nobody guards
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here looks at the client's address
        server_header=False,
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=LAST_WORDS_S,
    )

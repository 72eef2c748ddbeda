"""The listening socket's way in: accepts up to so many connections, and turns the rest away by name.

We accept ourselves, not the event loop: so the count includes those still shaking hands, each takes the
certificate of now, and a crowd costs no more descriptors than there are.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import resource
import socket
import ssl
from collections.abc import Callable

from seekserve.log import Log
from seekserve.wire import bare

BATCH = 256
"""Connections accepted before anybody else has the loop."""
SPARE = 192
"""Descriptors that are no client's: files, pipes, the ledger, the engines' idle connections."""
FEWEST = 16
LINGER_S, LINGERING = 1.0, 64
TELL_S = 1.0
OUT_OF_BREATH_S = 0.5
FULL = bare(
    "503 Service Unavailable",
    "This server holds as many connections as it may. Try again shortly.\n",
    "retry-after: 2",
)


class Doorway:
    """Of one listening socket. `make` gives a connection its protocol, `inside` counts those made."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        inside: Callable[[], int],
        most: int,
        context: Callable[[], ssl.SSLContext | None],
        handshake_s: float,
        log: Log,
    ) -> None:
        self._listener, self._make, self._inside, self._most = listener, make, inside, most
        self._context, self._handshake_s, self._log = context, handshake_s, log
        self._turned_away = 0
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._leaving: collections.deque[socket.socket] = collections.deque()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._open()

    def _open(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    async def close(self) -> None:
        self._loop.remove_reader(self._listener)
        if self._again:
            self._again.cancel()
        for task in self._arriving:
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        while self._leaving:
            self._leaving.popleft().close()

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                peer, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:  # it left before we came to it
                continue
            except (
                OSError
            ):  # no descriptor or memory left: whoever waits in the backlog goes on waiting
                self._loop.remove_reader(self._listener)
                self._again = self._loop.call_later(OUT_OF_BREATH_S, self._open)
                return
            self._take(peer)

    def _take(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        if self._inside() + len(self._arriving) >= self._most:
            self._turn_away(peer)
            return
        with contextlib.suppress(OSError):  # of one that has gone already
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._let_in(peer))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _let_in(self, peer: socket.socket) -> None:
        context = self._context()
        patience_s = self._handshake_s if context else None
        try:
            await self._loop.connect_accepted_socket(
                self._make,
                peer,
                ssl=context,
                ssl_handshake_timeout=patience_s,
                ssl_shutdown_timeout=patience_s,
            )
        except OSError:  # no TLS, a wrong one, none in time, or gone meanwhile
            peer.close()

    def _turn_away(self, peer: socket.socket) -> None:
        """Says why, and waits a little: to close on what it sends would take the answer from it."""
        self._count_away()
        if self._context():
            peer.close()
            return
        with contextlib.suppress(OSError):
            peer.send(FULL)
            peer.shutdown(socket.SHUT_WR)
        self._leaving.append(peer)
        if len(self._leaving) > LINGERING:
            self._leaving.popleft().close()
        self._loop.call_later(LINGER_S, self._let_go, peer)

    def _count_away(self) -> None:
        """A crowd is told of in one line, when a while of it has passed."""
        if not self._turned_away:
            self._loop.call_later(TELL_S, self._tell_away)
        self._turned_away += 1

    def _tell_away(self) -> None:
        self._log.event("connections_full", most=self._most, turned_away=self._turned_away)
        self._turned_away = 0

    def _let_go(self, peer: socket.socket) -> None:
        if peer in self._leaving:
            self._leaving.remove(peer)
            peer.close()


def seats(wanted: int, running: int, log: Log) -> int:
    """How many connections there may be: those wanted, or what the limit of descriptors leaves for them
    when each running request takes one more. The soft limit is raised first where it may be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + running + SPARE
    if soft != resource.RLIM_INFINITY and soft < need:
        top = need if hard == resource.RLIM_INFINITY else min(need, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
            soft = top
    allowed = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - running - SPARE)
    if allowed < wanted:
        allowed = max(FEWEST, allowed)
        log.event("connections_capped", wanted=wanted, allowed=allowed, descriptors=soft)
    return allowed

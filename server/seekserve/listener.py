"""The server's own socket and signals: bind first, so that a taken port is told before an engine starts."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from seekserve.config import Config, Listen
from seekserve.errors import ConfigError, PortTaken

BACKLOG = 2048


@contextmanager
def bound(listen: Listen) -> Iterator[socket.socket]:
    """A listening socket. Raises PortTaken or ConfigError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((listen.host, listen.port))
        except OSError as error:
            raise _why(listen, error) from error
        listener.listen(BACKLOG)
        yield listener


def _why(listen: Listen, error: OSError) -> PortTaken | ConfigError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {listen.port} on {listen.host} is taken by another program.",
            f"Stop that one, or choose another: --port {listen.port + 1}.",
        )
    if error.errno == errno.EACCES:
        return PortTaken(f"Port {listen.port} needs root.", "Choose one above 1023 with --port.")
    return ConfigError(f"Cannot listen on {listen.host}:{listen.port}: {error.strerror or error}.")


class Server(uvicorn.Server):
    """uvicorn, with signals ours: the first asks it to finish, the second to drop what runs."""

    @classmethod
    def of(cls, app: ASGIApp, config: Config) -> Server:
        return cls(
            uvicorn.Config(
                app,
                http="httptools",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(config.listen.drain_s),
            )
        )

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
        self.force_exit, self.should_exit = self.should_exit, True

"""A gateway with all three of the Console's doors open, and clients for each."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx

from seekserve.app import build
from seekserve.config import Config, hash_key
from seekserve.engine.assembly import assemble
from seekserve.gateway.closing import Closing
from seekserve.log import Log
from seekserve.opslistener import Side, ops_socket
from tests.support import PATIENCE_S, Prompt, ops_client, until

TOKEN = "ops-token-0123456789"


class Doors(NamedTuple):
    api: httpx.AsyncClient
    port: httpx.AsyncClient
    sock: httpx.AsyncClient
    own: str
    """The pass of this start."""


@asynccontextmanager
async def doors(settings: Config, token: str | None = None) -> AsyncIterator[Doors]:
    log = Log("json", lambda line: None)
    settings = settings.model_copy(update={"ops_token": hash_key(token) if token else None})
    with (
        socket.socket() as listener,
        socket.socket() as port,
        ops_socket(settings.state_dir) as sock,
    ):
        for one in (listener, port):
            one.bind(("127.0.0.1", 0))
            one.listen()
        listen = settings.listen.model_copy(update={"port": listener.getsockname()[1]})
        settings = settings.model_copy(update={"listen": listen})
        fleet, closing = assemble(settings, log), Closing()
        apps = build(settings, fleet, log, closing)
        server = Prompt(apps.api, settings, closing, log=log)
        async with Side(apps.ops, sock), Side(apps.scrape, port), server_runs(server, listener):
            await until(lambda: fleet.ready, "an engine to be ready")
            async with (
                client(listen.port) as api,
                client(port.getsockname()[1]) as ops,
                ops_client(sock.getsockname()) as door,
            ):
                link = await door.get("/console")
                own = link.json()["pass"] if link.status_code == 200 else ""
                yield Doors(api, ops, door, own)


@asynccontextmanager
async def server_runs(server: Prompt, listener: socket.socket) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started or task.done(), "the gateway to listen")
        yield
    finally:
        server.should_exit = True
        await task


def client(port: int) -> httpx.AsyncClient:
    base = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S)


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}

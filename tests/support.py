"""Real processes and real sockets for the tests: the fake engine, and the gateway in front of it."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from seekserve import tls
from seekserve.app import build
from seekserve.binding import bound
from seekserve.config import Config, hash_key
from seekserve.engine.assembly import assemble
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import PLAIN
from seekserve.gateway.closing import Closing
from seekserve.listener import BACKLOG, Server
from seekserve.log import Log
from seekserve.opslistener import Side, ops_socket
from seekserve.reloading import Renewal
from seekserve.settings import Defaults, Dialect, EngineSettings, Limits, Listen, Tier

FAKE = Path(__file__).with_name("fake_engine.py")
KEY = "sk-test-0123456789abcdef"
PATIENCE_S = 20.0
"""How long a condition is waited for before a test fails: generous, the machine may be busy."""


SCRATCH = tempfile.TemporaryDirectory(prefix="seekserve-tests-")
atexit.register(SCRATCH.cleanup)


def config(
    *attach: str,
    state_dir: Path | None = None,
    limits: dict[str, Any] | None = None,
    listen: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    engine: dict[str, Any] | None = None,
    dialect: dict[str, Any] | None = None,
    key: str | None = None,
) -> Config:
    """A configuration with short waits and a state folder of its own; what a test cares about is given
    by name.
    """
    tier = Tier(
        tier="test",
        engine=EngineSettings.model_validate(engine or {}),
        defaults=Defaults.model_validate(
            {"max_tokens": 64, "max_tokens_thinking": 64, "thinking": "engine"} | (defaults or {})
        ),
        dialect=Dialect.model_validate({"aliases": {}} | (dialect or {})),
        limits=Limits.model_validate({"running": 8, "queued": 8, "wait_s": 20} | (limits or {})),
    )
    return Config(
        listen=Listen.model_validate({"port": 0, "keepalive_s": 10, "drain_s": 1} | (listen or {})),
        tier=tier,
        attach=attach,
        key_hashes=(hash_key(key),) if key else (),
        state_dir=state_dir or Path(tempfile.mkdtemp(dir=SCRATCH.name)),
    )


async def until(condition: Callable[[], Any], what: str = "", within_s: float = PATIENCE_S) -> Any:
    """Waits for a condition (a function, perhaps async) to hold, and returns what it said."""
    deadline = time.monotonic() + within_s
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result
        assert time.monotonic() < deadline, f"still waiting for {what or condition}"
        await asyncio.sleep(0.01)


@dataclass
class FakeEngine:
    """A running fake engine. `side` asks it what it sees."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path
    side: httpx.Client

    def state(self) -> dict[str, Any]:
        told: dict[str, Any] = self.side.get("/seen").json()
        return told

    def afflict(self, fault: str = "") -> None:
        """From now on every answer has this fault; "hang": none is made. "" mends it."""
        self.side.get(f"/fault/{fault}")

    @property
    def running(self) -> int:
        running: int = self.state()["running"]
        return running

    @property
    def asked(self) -> dict[str, Any]:
        """The body of the last request that reached it."""
        body: dict[str, Any] = self.state()["seen"][-1]["body"]
        return body


@contextmanager
def fake_engine(folder: Path, *knobs: str, tcp: bool = False) -> Iterator[FakeEngine]:
    """Starts the fake engine on a Unix socket in `folder`, or on a TCP port, and waits for it."""
    output, path = folder / "engine.out", folder / "engine.sock"
    where = ("--port", "0") if tcp else ("--uds", str(path))
    with output.open("wb") as sink:
        words = [sys.executable, str(FAKE), *where, *knobs]
        process = subprocess.Popen(words, stdout=sink, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "startup complete" not in (said := output.read_text()):
            assert process.poll() is None, f"the fake engine died:\n{said}"
            assert time.monotonic() < deadline, f"the fake engine is not ready:\n{said}"
            time.sleep(0.01)
        url = f"unix:{path}"
        transport = httpx.HTTPTransport(uds=str(path))
        base = "http://localhost"
        if tcp:
            base = url = f"http://127.0.0.1:{said.partition('port=')[2].split()[0]}"
            transport = httpx.HTTPTransport()
        with httpx.Client(transport=transport, base_url=base, trust_env=False) as side:
            yield FakeEngine(process, url, output, side)
    finally:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


@dataclass
class Gate:
    """A gateway that serves on a real port in this loop, and a client for it."""

    config: Config
    fleet: Fleet
    server: Server
    port: int
    client: httpx.AsyncClient
    lines: list[str] = field(default_factory=list)
    ops: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    """A client for the operators' socket."""

    def chat(self, said: str = "hello", **more: Any) -> dict[str, Any]:
        """A chat request's JSON."""
        return {"model": "fake", "messages": [{"role": "user", "content": said}]} | more

    async def ask(self, said: str = "hello", **more: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=self.chat(said, **more))

    async def stream(self, said: str = "hello", **more: Any) -> httpx.Response:
        """A whole stream, read to its end."""
        return await self.ask(said, stream=True, **more)

    async def figures(self) -> dict[str, float]:
        """Every sample of /metrics as `name{label=value,...}` -> value."""
        return samples(await self.metrics())

    async def metrics(self) -> str:
        """The page that a scrape gets."""
        page = await self.ops.get("/metrics")
        assert page.status_code == 200, page.text
        return page.text

    async def figure(self, name: str) -> float:
        """The sum of a metric over its labels."""
        figures = await self.figures()
        return sum(v for k, v in figures.items() if k.partition("{")[0] == name)

    async def at_rest(self) -> None:
        """Waits until nothing is queued, placed or in flight."""
        names = ("seekserve_places_taken", "seekserve_queue_depth")

        async def resting() -> bool:
            figures = await self.figures()
            held = sum(v for k, v in figures.items() if k.startswith(names))
            return held == 0 and figures["seekserve_requests_in_flight"] == 0

        await until(resting, "the gateway to be at rest")


def samples(page: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class Prompt(Server):
    """Ends as soon as it is asked: uvicorn looks ten times a second, and hundreds of tests wait for it."""

    async def until_asked(self) -> None:
        await self.on_tick(0)
        tick = 1
        while not self.should_exit:
            await asyncio.sleep(0.01)
            tick += 1
            if tick % 10 == 0:
                await self.on_tick(tick // 10)


@asynccontextmanager
async def gateway(
    settings: Config,
    fleet: Fleet | None = None,
    ready: bool = True,
    renewal: Renewal | None = None,
) -> AsyncIterator[Gate]:
    """The gateway on a free port, with a client; once `ready` is wanted, an engine answers."""
    lines: list[str] = []
    log = Log("json", lines.append)
    fleet = fleet or assemble(settings, log)
    with (
        bound(settings.listen, BACKLOG, "--port N") as listener,
        ops_socket(settings.state_dir) as door,
    ):
        port = listener.getsockname()[1]
        listen = settings.listen.model_copy(update={"port": port})
        settings = settings.model_copy(update={"listen": listen})
        closing, certificate = Closing(), tls.certificate(settings.listen, log)
        apps = build(settings, fleet, log, closing, renewal)
        if certificate:
            apps.watch(certificate.gauges)
        server = Prompt(apps.api, settings, closing, certificate, log)
        async with Side(apps.ops, door) as side:
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await until(lambda: server.started or task.done(), "the gateway to listen")
                if ready:
                    await until(lambda: fleet.ready, "an engine to be ready")
                async with (
                    _client(settings.listen) as client,
                    ops_client(door.getsockname()) as ops,
                ):
                    yield Gate(settings, fleet, server, port, client, lines, ops)
            finally:
                side.stop()
                server.should_exit = True
                await task


def _client(listen: Listen) -> httpx.AsyncClient:
    """Of the API, which it trusts where that has a certificate."""
    scheme, verify = "http", PLAIN
    if listen.tls_cert:
        scheme, verify = "https", ssl.create_default_context(cafile=listen.tls_cert)
    base = f"{scheme}://127.0.0.1:{listen.port}"
    return httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S, verify=verify)


def ops_client(path: str) -> httpx.AsyncClient:
    """Speaks to a server's operators' socket, the one way to its metrics."""
    transport = httpx.AsyncHTTPTransport(uds=path)
    return httpx.AsyncClient(transport=transport, base_url="http://ops", timeout=PATIENCE_S)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def raw(port: int, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection with a request written to it, for what a polite client would not do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    return reader, writer


def post(body: bytes, path: str = "/v1/chat/completions", *headers: str) -> bytes:
    """A POST as bytes, for `raw`."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-type: application/json"]
    lines += [f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def without_proxies() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

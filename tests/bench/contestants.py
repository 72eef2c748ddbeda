"""The contestants: how each is configured, started in front of the mock, and stopped.

All stand on loopback in front of the same engine, one gateway process each, every one with the
cheapest settings its documentation offers that still relay a stream. Where one can attach to
the engine's Unix socket it does, since that is how it would be set up; `given` says so.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .launch import ROOT, NotStartedError, free_port, running, wait_ready
from .wire import MODEL

KEY: Final = "sk-bench-0123456789abcdef0123456789abcdef"
NO_PROXY: Final = "no proxy"
BASELINE: Final = "vllm-router"
_START_S: Final = 30.0
_SLOW_START_S: Final = 90.0  # LiteLLM imports for half a minute on two cores

# More streams are held open than the attach tier lets run at once; all else is as shipped.
_TIER: Final = """\
tier: bench
defaults: {thinking: engine}
limits: {running: 2048, queued: 2048}
"""
_NGINX: Final = """\
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  keepalive_requests 1000000;
  map_hash_bucket_size 256;
  map $http_authorization $allowed {{ default 0; "Bearer {key}" 1; }}
  upstream engine {{ server unix:{uds}; keepalive 2048; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = /health {{ return 200; }}
    location / {{
      if ($allowed = 0) {{ return 401; }}
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""
_LITELLM: Final = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: hosted_vllm/{model}
      api_base: http://127.0.0.1:{engine}/v1
      api_key: none
litellm_settings: {{telemetry: false, drop_params: false}}
general_settings: {{master_key: {key}}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the mock engine listens, on both of its addresses."""

    port: int
    uds: Path


@dataclass(frozen=True, slots=True)
class Setting:
    """What a contestant may use: the engine, a folder of its own, the rivals' venv."""

    engine: Upstream
    folder: Path
    rivals: Path


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one, and which path answers 200 once it is ready."""

    argv: Sequence[str]
    ready: str
    limit_s: float = _START_S
    env: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table. `command` raises NotStartedError where it is not installed."""

    name: str
    given: str
    command: Callable[[Setting, int], Command]


@dataclass(frozen=True, slots=True)
class Running:
    """A contestant that answers: where, and whose process tree pays for it."""

    address: str
    pid: int


def _seekserve(setting: Setting, port: int, engine: str) -> Command:
    tier = setting.folder / "bench.yaml"
    tier.write_text(_TIER)
    options = {
        "--tier": str(tier),
        "--engine": engine,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--api-key": KEY,
    }
    flags = [part for pair in options.items() for part in pair]
    env = {"PYTHONPATH": str(ROOT / "server"), "XDG_STATE_HOME": str(setting.folder)}
    return Command([sys.executable, "-m", "seekserve", "serve", *flags], "/health/ready", env=env)


def seekserve(setting: Setting, port: int) -> Command:
    """As shipped: keys, dialect, limits, metrics and the access line on."""
    return _seekserve(setting, port, f"unix:{setting.engine.uds}")


def seekserve_tcp(setting: Setting, port: int) -> Command:
    """The same over TCP: what of the figures is ours and what the Unix socket's."""
    return _seekserve(setting, port, f"http://127.0.0.1:{setting.engine.port}")


def nginx(setting: Setting, port: int) -> Command:
    """One worker, unbuffered, kept-alive upstream connections, the key checked by a map."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise NotStartedError("not installed (Debian: apt install nginx-light)")
    config = setting.folder / "nginx.conf"
    # Started by root, a worker would become nobody, to whom the engine's socket is closed.
    user = "user root;\n" if os.geteuid() == 0 else ""
    uds = setting.engine.uds
    config.write_text(_NGINX.format(user=user, dir=setting.folder, key=KEY, uds=uds, port=port))
    return Command([program, "-p", str(setting.folder), "-c", str(config)], "/health")


def vllm_router(setting: Setting, port: int) -> Command:
    """One static worker and the cheapest policy. It checks no client's key."""
    program = setting.rivals / "bin" / "vllm-router"
    if not program.exists():
        raise NotStartedError("not installed")
    options = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--worker-urls": f"http://127.0.0.1:{setting.engine.port}",
        "--policy": "round_robin",
        "--log-level": "warning",
        "--prometheus-port": str(free_port()),
        "--prometheus-host": "127.0.0.1",
    }
    flags = [part for pair in options.items() for part in pair]
    return Command([str(program), *flags], "/health")


def litellm(setting: Setting, port: int) -> Command:
    """One worker, a master key, no database."""
    program = setting.rivals / "bin" / "litellm"
    if not program.exists():
        raise NotStartedError("not installed")
    config = setting.folder / "litellm.yaml"
    config.write_text(_LITELLM.format(model=MODEL, engine=setting.engine.port, key=KEY))
    options = {"--config": str(config), "--host": "127.0.0.1", "--port": str(port)}
    flags = [part for pair in options.items() for part in pair]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    argv = [str(program), *flags, "--num_workers", "1", "--telemetry", "False"]
    return Command(argv, "/health/liveliness", _SLOW_START_S, env)


SEEKSERVE: Final = Contestant(
    "seekserve", "1 process, 1 thread; Unix socket; key, dialect, queue, metrics, log", seekserve
)
SEEKSERVE_TCP: Final = Contestant(
    "seekserve, TCP", "the same, but TCP to the engine", seekserve_tcp
)
NGINX: Final = Contestant("nginx", "1 worker, 1 thread; Unix socket; key by a map, no log", nginx)
VLLM_ROUTER: Final = Contestant(
    BASELINE, "1 process, a thread per core; TCP; no key check, metrics, no log", vllm_router
)
LITELLM: Final = Contestant("LiteLLM", "1 worker; TCP; master key, no database", litellm)


@asynccontextmanager
async def upstream(folder: Path) -> AsyncIterator[tuple[Upstream, int]]:
    """The mock engine, up and answering; and its process id."""
    engine = Upstream(free_port(), folder / "engine.sock")
    argv = [sys.executable, "-m", "tests.bench.upstream"]
    argv += ["--port", str(engine.port), "--uds", str(engine.uds)]
    log = folder / "upstream.log"
    async with running(argv, log) as process:
        await wait_ready(process, log, f"127.0.0.1:{engine.port}", "/health", _START_S)
        yield engine, process.pid


@asynccontextmanager
async def contestant(which: Contestant, setting: Setting) -> AsyncIterator[Running]:
    """One contestant, ready; stopped with its whole group at the end of the block."""
    await asyncio.to_thread(setting.folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    command = which.command(setting, port)
    log = setting.folder / "output.log"
    async with running(command.argv, log, command.env) as process:
        address = f"127.0.0.1:{port}"
        await wait_ready(process, log, address, command.ready, command.limit_s)
        yield Running(address, process.pid)

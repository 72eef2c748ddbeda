"""From the command to the banner, and from Ctrl-C to nothing left."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import Served, serve, stop
from tests.e2e.test_plan import a_ladder, is_what_its_ladder_promised
from tests.e2e.waiting import until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="no vLLM installed"
)

MODEL = "model"  # as the ladder's folder is called
CHAT = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Count from 1 to 15"}],
    "stream": True,
}


def children(pid: int) -> set[int]:
    """All descendants of a process, from /proc."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            child = int(stat.parent.name)
            found |= {child} | children(child)
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def shared_memory() -> set[str]:
    """Segments and semaphores of Python's multiprocessing that were left behind: nobody has them mapped,
    as the engines of another server of this machine have theirs.
    """
    there = {p.name for p in Path("/dev/shm").glob("*") if p.name.startswith(("psm_", "sem.mp-"))}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            there -= set(re.findall(r"/dev/shm/(\S+)", maps.read_text()))
    return there


def test_a_ladder_is_climbed_and_its_server_starts_serves_and_stops(tmp_path: Path) -> None:
    before = shared_memory()
    tier = str(a_ladder(tmp_path))
    with serve("--tier", tier, "--drain", "3") as server, server.client() as client:
        until(lambda: "starting" in server.said(), "nothing was said", 30)
        until(lambda: _live(client), "not live", 30)
        says_that_it_starts(client)
        server.wait_ready()
        until(lambda: "Ctrl-C" in server.said(), "no banner", 10)
        for words in (server.base, MODEL, "curl ", "from openai import OpenAI", "loading weights"):
            assert words in server.said()
        is_what_its_ladder_promised(server)
        stops_under_a_stream(server, client)
        assert not shared_memory() - before
        assert "Traceback" not in server.said()


def says_that_it_starts(client: httpx.Client) -> None:
    starting = client.get("/health/ready")
    assert starting.status_code == 503
    assert starting.json()["engines"][0]["stage"]
    refused = client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "engine_starting"
    assert "stage" in refused.json()["error"]["message"]
    assert client.get("/v1/models").json()["data"][0]["id"] == MODEL


def stops_under_a_stream(server: Served, client: httpx.Client) -> None:
    """And leaves no process, no folder and no socket."""
    family = children(server.process.pid)
    run_dirs = list(server.output.parent.glob("seekserve-*"))
    assert family and len(run_dirs) == 1
    assert run_dirs[0].stat().st_mode & 0o777 == 0o700
    long = CHAT | {"max_tokens": 900, "ignore_eos": True}
    with client.stream("POST", "/v1/chat/completions", json=long) as answer:
        assert answer.status_code == 200
        assert stop(server.process, signal.SIGINT) == 0, server.said()
    until(lambda: not alive(family), f"still alive: {alive(family)}", 10)
    assert not run_dirs[0].exists()
    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        pass


def test_killed_outright_the_engine_does_not_outlive_us() -> None:
    with serve("--tier", "demo") as server:
        until(lambda: len(children(server.process.pid)) > 0, "no engine was started", 60)
        family = children(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
        until(lambda: not alive(family), f"still alive: {alive(family)}", 30)


def _live(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False

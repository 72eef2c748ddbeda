"""A stop loses nothing that came before it: what runs and waits is finished, what comes is told to go."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from seekserve.screen import Screen
from tests.support import (
    FakeEngine,
    Gate,
    config,
    free_port,
    gateway,
    post,
    raw,
    until,
    without_proxies,
)

SLOW = "fault:slow interval=0.02 tokens=30"
HEALTH = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def fresh(gate: Gate, method: str, path: str, **more: object) -> httpx.Response:
    """A request on a connection of its own."""
    async with httpx.AsyncClient(base_url=str(gate.client.base_url), trust_env=False) as client:
        return await client.request(method, path, **more)  # type: ignore[arg-type]


async def test_what_runs_and_what_waits_is_finished(engine: FakeEngine) -> None:
    settings = config(engine.url, listen={"drain_s": 20}, limits={"running": 2})
    async with gateway(settings) as gate:
        kinds = (True, False, True)
        crowd = [asyncio.create_task(gate.ask(SLOW, stream=stream)) for stream in kinds]
        await until(lambda: gate.figure("seekserve_queue_depth"), "one to wait in line")
        gate.server.stop()
        answers = await asyncio.gather(*crowd)
    assert [answer.status_code for answer in answers] == [200] * 3
    for answer, stream in zip(answers, kinds, strict=True):
        assert " w29" in answer.text and ("[DONE]" in answer.text) is stream
    assert engine.running == 0


async def test_what_comes_is_told_and_the_door_stays(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"drain_s": 20})) as gate:
        assert (await fresh(gate, "GET", "/health/ready")).status_code == 200
        running = asyncio.create_task(gate.stream("fault:slow interval=0.1 tokens=30"))
        await until(lambda: engine.running == 1, "the stream to run")
        gate.server.stop()
        ready = await fresh(gate, "GET", "/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert ready.headers["connection"] == "close"
        assert (await fresh(gate, "GET", "/health/live")).status_code == 200
        assert (await gate.ops.get("/metrics")).status_code == 200
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/models"):
            method = "GET" if path.endswith("models") else "POST"
            refused = await fresh(gate, method, path, json=gate.chat())
            assert (refused.status_code, refused.headers["connection"]) == (503, "close")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert "stopping" in refused.json()["error"]["message"]
        assert refused.json()["error"]["code"] == "server_stopping"
        assert not running.done(), "all this while the stream went on"
        assert "[DONE]" in (await running).text


async def test_an_idle_connection_is_refused_not_reset(engine: FakeEngine) -> None:
    """Or a request that its client has just written would be lost."""
    async with gateway(config(engine.url, listen={"drain_s": 20})) as gate:
        reader, writer = await raw(gate.port, HEALTH)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        running = asyncio.create_task(gate.stream(SLOW))
        await until(lambda: engine.running == 1, "the stream to run")
        gate.server.stop()
        await asyncio.sleep(0.2)
        writer.write(post(json.dumps(gate.chat()).encode()))
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"HTTP/1.1 503" in answer and b"connection: close" in answer
        assert "[DONE]" in (await running).text
        writer.close()


async def test_a_large_body_that_is_refused_still_hears_why(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"drain_s": 20})) as gate:
        running = asyncio.create_task(gate.stream(SLOW))
        await until(lambda: engine.running == 1, "the stream to run")
        gate.server.stop()
        refused = await fresh(gate, "POST", "/v1/chat/completions", json=gate.chat("x" * 2**23))
        assert refused.status_code == 503
        assert "[DONE]" in (await running).text


async def test_it_ends_as_soon_as_nothing_runs(engine: FakeEngine) -> None:
    loop = asyncio.get_running_loop()
    async with gateway(config(engine.url, listen={"drain_s": 600})) as gate:
        assert (await gate.stream(SLOW)).status_code == 200
        gate.server.stop()
        began = loop.time()
    assert loop.time() - began < 20, "not drain_s"


@pytest.mark.parametrize("stream", [True, False])
async def test_what_outlasts_the_drain_is_told_so(engine: FakeEngine, stream: bool) -> None:
    async with gateway(config(engine.url, listen={"drain_s": 0.3})) as gate:
        fault = "fault:hang_mid_stream" if stream else "fault:hang_before_head"
        running = asyncio.create_task(gate.ask(fault, stream=stream))
        await until(lambda: engine.running == 1, "the request to run")
        gate.server.stop()
        answer = await running
        assert answer.status_code == (200 if stream else 503)
        assert "server_stopping" in answer.text
    await until(lambda: engine.running == 0, "the engine to stop")


async def test_a_body_that_outlasts_the_drain_is_told_so(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"drain_s": 0.3})) as gate:
        reader, writer = await raw(gate.port, post(b"{").replace(b"length: 1", b"length: 99"))
        await until(lambda: gate.server.server_state.tasks, "the request to begin")
        gate.server.stop()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 503") and b"server_stopping" in answer
        writer.close()


async def test_the_second_signal_drops_what_runs(engine: FakeEngine) -> None:
    told: list[bool] = []
    async with gateway(config(engine.url, listen={"drain_s": 600})) as gate:
        gate.server.stopping = told.append
        running = asyncio.create_task(gate.stream("fault:hang_mid_stream"))
        await until(lambda: engine.running == 1, "the stream to run")
        gate.server.stop()
        await asyncio.sleep(0.1)
        assert not running.done()
        gate.server.stop()
    assert told == [False, True]
    running.cancel()
    await asyncio.wait([running])


async def test_a_long_stop_says_what_it_waits_for(engine: FakeEngine) -> None:
    told: list[tuple[int, float]] = []
    async with gateway(config(engine.url, listen={"drain_s": 3.5})) as gate:
        gate.server.draining = lambda running, left_s: told.append((running, left_s))
        running = asyncio.create_task(gate.stream("fault:hang_mid_stream"))
        await until(lambda: engine.running == 1, "the stream to run")
        gate.server.stop()
        await running
    assert told[0][0] == 1 and 0 < told[0][1] < 2


def test_a_terminal_shows_what_a_stop_waits_for() -> None:
    page = io.StringIO()
    term = {"TERM": "xterm"}
    screen = Screen(Console(file=page, force_terminal=True, width=80, _environ=term))
    screen.draining(2, 12.4)
    screen.draining(1, 10.4)
    screen.stopped()
    assert "1 request still runs; at most 10 s more" in page.getvalue()


def started(engine: FakeEngine, port: int, folder: Path, output: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "seekserve", "serve", "--engine", engine.url]
    words += ["--port", str(port), "--drain", "20"]
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(folder)}
    with output.open("wb") as sink:
        return subprocess.Popen(words, env=env, stdout=sink, stderr=sink)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_stops_in_order(
    engine: FakeEngine, tmp_path: Path, number: signal.Signals
) -> None:
    """The whole program: a stream runs on after the signal, and its exit code is 0."""
    port, output = free_port(), tmp_path / "said"
    process = started(engine, port, tmp_path, output)
    try:
        await until(lambda: "Ctrl-C stops" in output.read_text(), "the banner", 60)
        chat = {"model": "fake", "messages": [{"role": "user", "content": SLOW}], "stream": True}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            running = asyncio.create_task(client.post("/v1/chat/completions", json=chat))
            await until(lambda: engine.running == 1, "the stream to run")
            process.send_signal(number)
            await until(lambda: "Stopping" in output.read_text(), "the signal to be heard")
            assert (await client.get("/health/ready")).status_code == 503
            assert "[DONE]" in (await running).text
        await until(lambda: process.poll() is not None, "the program to end", 30)
        assert process.returncode == 0, output.read_text()
        assert "Traceback" not in output.read_text()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

"""`seekserve ready` and `seekserve prove`: what health checks see of a server, and of an engine alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from seekserve import readiness
from seekserve.cli import cli
from seekserve.engine.proving import proved
from tests.support import PATIENCE_S, FakeEngine, config, fake_engine, free_port, gateway, until

# What a check every few seconds must not load.
SLOW = {"typer", "rich", "pydantic", "yaml", "httpx", "fastapi", "uvicorn", "asyncio"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as running:
        yield running


async def test_ready_says_so_once_an_engine_answers(engine: FakeEngine, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    absent = config(f"unix:{tmp_path}/later.sock", state_dir=state)
    async with gateway(absent, ready=False):
        serves, line = await asyncio.to_thread(readiness.look, state)
        assert not serves and line.startswith("not ready: engine-0 starting (connect")
    async with gateway(config(engine.url, state_dir=state)):
        assert await asyncio.to_thread(readiness.look, state) == (True, "ready: engine-0 ready")
    assert readiness.look(state) == (False, f"no server runs with the state folder {state}")


async def test_ready_says_why_an_engine_is_not(engine: FakeEngine, tmp_path: Path) -> None:
    async with gateway(config(engine.url, state_dir=tmp_path)):
        engine.process.kill()

        async def why() -> str:
            serves, lines = await asyncio.to_thread(readiness.look, tmp_path)
            return "" if serves else lines

        line, cause = (await until(why, "its end to be seen")).splitlines()
    assert line.startswith("not ready: engine-0 starting")
    assert cause.startswith("engine-0: it stopped answering")


def test_ready_counts_the_nodes_that_have_joined() -> None:
    one = {"name": "engine-0", "state": "starting", "stage": "nodes", "progress": None}
    nodes = {"nodes": {"wanted": 2, "joined": 1}}
    assert readiness.of_engine(one | nodes) == "engine-0 starting (nodes, 1 of 2 nodes)"
    loads = {"stage": "load", "progress": 0.25, "nodes": {"wanted": 2, "joined": 2}}
    assert readiness.of_engine(one | loads) == "engine-0 starting (load, 25%, 2 of 2 nodes)"


async def test_ready_is_red_while_the_server_stops(engine: FakeEngine, tmp_path: Path) -> None:
    engine.afflict("hang")
    settings = config(engine.url, state_dir=tmp_path, listen={"drain_s": 30})
    async with gateway(settings) as gate:
        asked = asyncio.create_task(gate.ask())
        await until(lambda: engine.running, "a request to run")
        gate.server.should_exit = True

        async def red() -> str:
            serves, line = await asyncio.to_thread(readiness.look, tmp_path)
            return "" if serves else line

        assert (await until(red, "the stop to be seen")).startswith("draining")
        engine.afflict("")
        assert (await asked).status_code == 200


def test_ready_loads_nothing_that_is_slow(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['seekserve', 'ready']\n"
        "from seekserve.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sys.modules)"
    )
    env = os.environ | {"SEEKSERVE_STATE_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    said, loaded = done.stdout.splitlines()
    assert said == f"no server runs with the state folder {tmp_path}" and done.stderr == ""
    assert loaded.startswith("1 ")
    assert SLOW & set(loaded.split()) == set()


def test_ready_is_a_verb_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["ready"], env={"SEEKSERVE_STATE_DIR": str(tmp_path)})
    assert result.exit_code == 1 and "no server runs" in result.stdout


def prove(url: str, **env: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["prove", url], env=env)
    return result.exit_code, " ".join(result.output.split())


def test_prove_asks_for_a_token(engine: FakeEngine) -> None:
    assert prove(engine.url) == (0, f"{engine.url}: it makes tokens")
    assert engine.asked["max_tokens"] == 1
    engine.afflict("html_502")
    assert prove(engine.url)[0] == 1


def test_prove_of_what_is_no_engine(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert prove(nobody) == (1, f"{nobody}: nothing answers there")
    code, line = prove("https://example.test")
    assert code == 2 and "http://HOST:PORT" in line
    code, line = prove(nobody, SEEKSERVE_ENGINE_API_KEY="clé")
    assert code == 2 and "no HTTP header can carry" in line and "clé" not in line
    code, line = prove(nobody, SEEKSERVE_ENGINE_API_KEY_FILE=str(tmp_path / "none"))
    assert code == 2 and "SEEKSERVE_ENGINE_API_KEY_FILE" in line


def test_prove_shows_the_engines_key(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-engine\n")
    assert prove(engine.url, SEEKSERVE_ENGINE_API_KEY_FILE=str(tmp_path / "key"))[0] == 0
    assert "Bearer sk-engine" in str(engine.state()["seen"][-1])


async def test_an_engine_that_hangs_is_found_out_in_time(engine: FakeEngine) -> None:
    engine.afflict("hang")
    began = time.monotonic()
    found = await asyncio.wait_for(proved(engine.url, within_s=4), PATIENCE_S)
    assert not found.works and "did not answer within" in found.words
    assert time.monotonic() - began >= 1


async def test_an_engine_that_is_busy_with_others_is_not_dead(engine: FakeEngine) -> None:
    body = {"model": "fake", "prompt": "fault:slow interval=0.6", "stream": True}
    transport = httpx.AsyncHTTPTransport(uds=engine.url.removeprefix("unix:"))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://engine") as client,
        client.stream("POST", "/v1/completions", json=body) as stream,
    ):
        words = stream.aiter_bytes()
        await anext(words)
        engine.afflict("hang_before_head")
        reading = asyncio.create_task(_read(words))
        found = await proved(engine.url, within_s=4)
        reading.cancel()
    assert found.works and found.words.startswith("it makes tokens for others"), found


async def _read(words: AsyncIterator[bytes]) -> None:
    async for _ in words:
        pass

"""`serve --ops HOST:PORT`: reading alone, for whom; and SIGHUP. With a server as a user starts it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from seekserve import opsdoor
from seekserve.config import Config, hash_key, load
from seekserve.engine.process import Command
from seekserve.errors import ConfigError, OpenToTheWorld, StartError
from seekserve.secretfiles import OPS_TOKEN, take
from tests.serving import served
from tests.support import FakeEngine, until

TOKEN = "t0ken-0123456789abcdef"
READ = ("/metrics", "/version", "/health/live", "/health/ready")
REST = ("/engines", "/server", "/keys", "/reload", "/engines/engine-0/restart", "/keys/a/revoke")


async def pages(
    port: int, method: str, paths: tuple[str, ...], headers: dict[str, str]
) -> list[int]:
    root = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=root, trust_env=False, headers=headers) as client:
        return [(await client.request(method, path)).status_code for path in paths]


async def test_it_reads_and_changes_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    with served(engine, tmp_path, SEEKSERVE_OPS_TOKEN=TOKEN) as (port, output):
        await until(lambda: "is ready" in output.read_text(), "the banner")
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert await pages(port, "GET", READ, bearer) == [200] * 4
        assert await pages(port, "GET", REST, bearer) == [404] * 6
        assert await pages(port, "POST", REST, bearer) == [404] * 6
        assert await pages(port, "POST", READ, bearer) == [405] * 4
        async with httpx.AsyncClient(trust_env=False, headers=bearer) as client:
            lost = (await client.post(f"http://127.0.0.1:{port}/reload")).json()["error"]
        assert "POST /reload" in lost["message"] and "STATE_DIR/ops.sock" in lost["todo"]
        for wrong in ({}, {"authorization": f"Bearer {TOKEN[:-1]}"}):
            assert await pages(port, "GET", READ, wrong) == [401, 401, 200, 200]
            assert await pages(port, "GET", REST, wrong) == [401] * 6
            async with httpx.AsyncClient(trust_env=False, headers=wrong) as client:
                refusal = (await client.get(f"http://127.0.0.1:{port}/metrics")).json()
            assert "SEEKSERVE_OPS_TOKEN" in refusal["error"]["message"]
        told = opsdoor.ask(tmp_path / "ops.sock", "GET", "/server").page
        assert (told["ops"]["port"], told["ops"]["token"]) == (port, True)
        assert told["api"]["port"] not in (0, port)
    assert TOKEN not in output.read_text()
    assert opsdoor.living(tmp_path) == []


async def test_without_a_token_it_is_for_this_machine_and_no_web_page(
    engine: FakeEngine, tmp_path: Path
) -> None:
    with served(engine, tmp_path) as (port, output):
        await until(lambda: "is ready" in output.read_text(), "the banner")
        assert await pages(port, "GET", ("/metrics",), {}) == [200]
        for foreign in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
            assert await pages(port, "GET", ("/metrics",), foreign) == [403]
        pid = opsdoor.ask(tmp_path / "ops.sock", "GET", "/server").page["pid"]
        os.kill(pid, signal.SIGHUP)
        await until(lambda: "ops action=reload changed=nothing" in output.read_text(), "a reload")


def test_the_token_is_taken_out_of_what_the_engine_inherits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(OPS_TOKEN, TOKEN)
    assert take(OPS_TOKEN) == TOKEN
    assert OPS_TOKEN not in os.environ | Command(()).environ()
    assert take(OPS_TOKEN) is None


def loaded(tmp_path: Path, ops: str, token: str | None = None) -> Config:
    return load("demo", listen={}, state_dir=tmp_path, ops=ops, ops_token=token)


def test_beyond_loopback_it_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(OpenToTheWorld) as refused:
        loaded(tmp_path, "0.0.0.0:9400")
    assert "SEEKSERVE_OPS_TOKEN" in refused.value.todo
    config = loaded(tmp_path, "0.0.0.0:9400", TOKEN)
    assert config.ops_token == hash_key(TOKEN) and TOKEN not in repr(config)


@pytest.mark.parametrize("ops", ["9400", ":9400", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"])
def test_what_is_no_address(tmp_path: Path, ops: str) -> None:
    with pytest.raises(StartError):
        loaded(tmp_path, ops)


def test_an_address_of_six(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[::1]:9400")
    assert config.ops and (config.ops.host, config.ops.port) == ("::1", 9400)
    assert loaded(tmp_path, "").ops is None


@pytest.mark.parametrize("token", ["short", "with a space in its middle", "ümlauts-are-not-ascii"])
def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError):
        loaded(tmp_path, "127.0.0.1:9400", token)

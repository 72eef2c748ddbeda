"""The edges: real files, sockets and processes, looked at; and the verb on a server that runs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seekserve.cli import cli
from seekserve.doctor import knocking, looking, processes
from seekserve.doctor.doors import KNOCKS
from seekserve.doctor.facts import Door
from tests.serving import served
from tests.support import KEY, FakeEngine, config, fake_engine, gateway, until


def examined(folder: Path, *words: str) -> Result:
    env = {"SEEKSERVE_STATE_DIR": str(folder)}
    return CliRunner().invoke(cli, ["doctor", *words], env=env)


def told(result: Result) -> dict[str, list[str]]:
    """Everything said, by grade."""
    page: dict[str, Any] = json.loads(result.stdout)
    return {
        grade: [one["said"] for one in page["findings"] if one["grade"] == grade]
        for grade in ("ok", "warn", "bad")
    }


def test_the_state_folder_is_seen_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "logs").mkdir(mode=0o700)
    (tmp_path / "logs" / "demo.log").touch(mode=0o640)
    (tmp_path / "keys.json").symlink_to("elsewhere")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "ops.sock"))
    seen = looking.state_folder(tmp_path)
    found = {one.name: (one.kind, one.mode) for one in seen.entries}
    assert found[""] == ("folder", 0o700)
    assert found["logs/demo.log"] == ("file", 0o640)
    assert found["keys.json"][0] == "link" and found["ops.sock"][0] == "socket"
    assert {one.uid for one in seen.entries} == {os.geteuid()}


def test_a_parent_that_is_open_to_all_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "open" / "state"
    folder.mkdir(parents=True)
    assert looking.state_folder(folder).parents_open == ()
    (tmp_path / "open").chmod(0o777)
    assert looking.state_folder(folder).parents_open == (str(tmp_path / "open"),)


def test_the_ports_of_a_process(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("127.0.0.1", 0)) as x,
    ):
        x.close()
        seen = [(one.host, one.number, one.loopback) for one in processes.ports_of(os.getpid())]
        assert ("127.0.0.1", four.getsockname()[1], True) in seen
    with socket.socket() as wide:
        wide.bind(("0.0.0.0", 0))
        wide.listen()
        number = wide.getsockname()[1]
        (found,) = [one for one in processes.ports_of(os.getpid()) if one.number == number]
        assert (found.host, found.loopback, found.http) == ("0.0.0.0", False, False)


@pytest.mark.parametrize(
    ("folder", "door", "open_"),
    [(0o700, 0o777, False), (0o755, 0o755, False), (0o755, 0o777, True)],
)
def test_an_engines_process_is_read_as_it_runs(
    tmp_path: Path, folder: int, door: int, open_: bool
) -> None:
    uds = tmp_path / "run" / "engine.sock"
    uds.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(uds))
    uds.chmod(door)
    uds.parent.chmod(folder)
    code = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)"
    code += "; print(flush=True); s.serve_forever()"
    words = [sys.executable, "-c", code, "--model", str(tmp_path), "--trust-remote-code"]
    words += ["--uds", str(uds)]
    env = {"PATH": "/bin", "VLLM_SERVER_DEV_MODE": "1"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=quiet) as child:
        assert child.stdout and child.stdout.readline()
        (engine,) = [one for one in processes.engines(os.getpid()) if one.pid == child.pid]
        child.kill()
    assert engine.model == str(tmp_path) and engine.local and engine.socket_open is open_
    assert "--trust-remote-code" in engine.argv and engine.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert [(port.loopback, port.http) for port in engine.ports] == [(True, True)]


def test_what_the_hub_left_in_the_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--model" / "snapshots" / "abc"
    env = {"HF_HOME": str(tmp_path)}
    assert not processes.cached("org/model", env)
    snapshot.mkdir(parents=True)
    assert processes.cached("org/model", env) and not processes.cached("org/other", env)


def test_an_attached_engine_is_knocked_at(tmp_path: Path) -> None:
    with fake_engine(tmp_path, tcp=True) as engine:
        seen = knocking.attachment(f"{engine.url}/v1")
        assert (seen.models_status, seen.dev_status, seen.loopback) == (200, 404, True)
    gone = knocking.attachment(engine.url)
    assert (gone.models_status, gone.version) == (0, "")
    assert knocking.attachment("unix:/run/x.sock").unix


def test_nobody_behind_a_door() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        door = Door("127.0.0.1", taken.getsockname()[1], True, False, True)
        assert knocking.replies(door) == ()


def test_what_is_installed_here_is_seen() -> None:
    seen = looking.installed()
    assert {"fastapi", "starlette", "uvicorn", "httptools"} <= seen.versions.keys()


def test_this_machine_is_seen(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    seen = looking.host(tmp_path, os.getpid())
    assert seen.descriptors > 0 and seen.free_bytes > 0
    assert abs(seen.newest - seen.now) < 3600


async def test_a_server_that_is_well(engine: FakeEngine, tmp_path: Path) -> None:
    """In a process of its own: this one may have other tests' engines for children."""
    with served(engine, tmp_path, SEEKSERVE_API_KEY=KEY) as (_, output):
        await until(lambda: "is ready" in output.read_text(), "the banner")
        result = await asyncio.to_thread(examined, tmp_path, "--json")
        found = told(result)
        assert f"{len(KNOCKS)} requests without a key opened nothing." in found["ok"]
        logged = [path for _, path in KNOCKS if not path.startswith("/console")]
        assert output.read_text().count(" request ") >= len(logged), "they came"
        assert not [said for said in found["bad"] if "files may be open" not in said], result.stdout
        assert any("Unix socket" in said for said in found["ok"])
        assert any("only this machine" in said for said in found["ok"])
        shown = await asyncio.to_thread(examined, tmp_path)
        assert "opened nothing" in " ".join(shown.stdout.split())
        assert KEY not in shown.output


async def test_a_server_that_is_not(tmp_path: Path) -> None:
    """An engine on TCP without a key, a key file that others read: told, and exit 1."""
    (tmp_path / "state").mkdir(mode=0o755)
    with fake_engine(tmp_path, tcp=True) as open_engine:
        settings = config(open_engine.url, key=KEY, state_dir=tmp_path / "state")
        async with gateway(settings):
            (tmp_path / "state" / "keys.json").touch()
            (tmp_path / "state" / "keys.json").chmod(0o644)
            result = await asyncio.to_thread(examined, tmp_path / "state", "--json")
    found = told(result)
    assert result.exit_code == 1
    assert any("keys.json is open to other users" in said for said in found["bad"])
    assert any("answers without a key" in said for said in found["warn"])
    assert any("does not tell its version" in said for said in found["warn"])


def test_without_a_server_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    tier = tmp_path / "mine.yaml"
    tier.write_text("tier: mine\nengine: {model: org/model, args: {trust-remote-code: true}}\n")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    result = examined(state, "--json", "--tier", str(tier))
    found = told(result)
    assert result.exit_code == 1
    assert any("No server runs" in said for said in found["warn"])
    assert any("runs whatever code is in org/model" in said for said in found["bad"])


def test_who_may_read_a_key(tmp_path: Path) -> None:
    key = tmp_path / "tls.key"
    assert not looking.others_read(key)
    key.touch(mode=0o600)
    assert not looking.others_read(key)
    key.chmod(0o644)
    assert looking.others_read(key)


def test_the_commits_that_the_server_keeps(tmp_path: Path) -> None:
    assert looking.kept_commits(tmp_path) == {}
    (tmp_path / "models.json").write_text('{"org/model": "abc"}')
    assert looking.kept_commits(tmp_path) == {"org/model": "abc"}
    (tmp_path / "models.json").write_text("[")
    assert looking.kept_commits(tmp_path) == {}


@pytest.mark.parametrize("tier", ["demo", "consumer"])
def test_a_shipped_tier_has_nothing_bad(tmp_path: Path, tier: str) -> None:
    found = told(examined(tmp_path, "--json", "--tier", tier))
    assert not [said for said in found["bad"] if tier in said]


def test_a_tier_that_is_none(tmp_path: Path) -> None:
    result = examined(tmp_path, "--tier", "nope")
    assert result.exit_code == 2 and "There is no tier" in result.stderr

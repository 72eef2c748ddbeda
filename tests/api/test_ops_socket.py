"""The operators' socket: whose it is, what is on it, and what becomes of it when servers die or meet."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from seekserve import opsdoor, opslistener
from seekserve.cli import cli
from seekserve.config import hash_key
from seekserve.engine.engine import Attached
from seekserve.errors import ConfigError
from seekserve.gateway import keyfile
from seekserve.opslistener import ops_socket
from tests.support import KEY, PATIENCE_S, FakeEngine, Gate, config, gateway, without_proxies


@pytest.fixture
async def kept(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Gate]:
    """A closed gateway whose state folder is `tmp_path`."""
    async with gateway(config(engine.url, key=KEY, state_dir=tmp_path)) as serving:
        yield serving


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_the_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with ops_socket(tmp_path):
            assert mode(tmp_path / "ops.sock") == 0o600
            assert opsdoor.living(tmp_path) == [tmp_path / "ops.sock"]
    finally:
        os.umask(before)
    assert not (tmp_path / "ops.sock").exists()
    assert opsdoor.living(tmp_path) == []


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    for name in ("ops.sock", "ops-4194305.sock"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / name))
    with ops_socket(tmp_path) as door:
        assert door.getsockname() == str(tmp_path / "ops.sock")
        assert not (tmp_path / "ops-4194305.sock").exists()


def test_a_second_server_takes_another_and_leaves_the_first_alone(tmp_path: Path) -> None:
    with ExitStack() as first:
        first.enter_context(ops_socket(tmp_path))
        with ops_socket(tmp_path) as second:
            beside = tmp_path / f"ops-{os.getpid()}.sock"
            assert second.getsockname() == str(beside) and mode(beside) == 0o600
            assert opsdoor.living(tmp_path) == [tmp_path / "ops.sock", beside]
        assert opsdoor.living(tmp_path) == [tmp_path / "ops.sock"]


@pytest.mark.parametrize("what", ["file", "folder", "link", "long"])
def test_what_stands_in_the_way_is_named_and_left_alone(tmp_path: Path, what: str) -> None:
    folder, path = tmp_path, tmp_path / "ops.sock"
    if what == "file":
        path.write_text("mine")
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        folder = tmp_path / ("x" * 100)
        folder.mkdir()
    with pytest.raises(ConfigError, match=r"ops\.sock"), ops_socket(folder):
        pass
    assert what == "long" or path.exists() or path.is_symlink()


async def test_engines_are_told_whole(kept: Gate, engine: FakeEngine) -> None:
    (told,) = (await kept.ops.get("/engines")).json()["engines"]
    wanted = {"name": "engine-0", "state": "ready", "models": ["fake"], "restarts": 0}
    assert told == wanted | {"address": engine.url, "cause": "", "remedy": ""}


async def test_the_server_says_where_it_listens(kept: Gate) -> None:
    told = (await kept.ops.get("/server")).json()
    assert told["pid"] == os.getpid() and told["ops"] is None
    assert told["api"]["door"] == "closed" and told["api"]["loopback"] is True


async def test_reload_and_restart(kept: Gate, tmp_path: Path) -> None:
    assert (await kept.ops.post("/reload")).json() == {"changed": []}
    keyfile.edit(tmp_path / keyfile.NAME, lambda keys: keys)
    assert (await kept.ops.post("/keys", json={"name": "a"})).status_code == 201
    (tmp_path / keyfile.NAME).write_text("{")
    wrong = await kept.ops.post("/reload")
    assert wrong.status_code == 422
    assert "damaged" in wrong.json()["error"]["message"]
    assert "stay in force" in wrong.json()["error"]["todo"]
    refused = await kept.ops.post("/engines/engine-0/restart")
    assert refused.status_code == 422 and refused.json()["error"]["todo"]
    lost = await kept.ops.post("/engines/engine-7/restart")
    assert lost.status_code == 404 and "engine-0" in lost.json()["error"]["todo"]
    lines = [json.loads(line) for line in kept.lines]
    actions = [(one["action"], one.get("of")) for one in lines if one["event"] == "ops"]
    assert actions == [
        ("reload", None), ("keys add", "a"), ("reload", None), ("restart", "engine-0"),
    ]  # fmt: skip


async def test_a_key_lives_its_whole_life(kept: Gate, tmp_path: Path) -> None:
    async def opens(text: str) -> bool:
        answer = await kept.client.get("/v1/models", headers={"x-api-key": text})
        return answer.status_code == 200

    asked = {"name": "alice", "class": "batch", "requests_per_min": 60, "expires": "2099-01-31"}
    made = await kept.ops.post("/keys", json=asked)
    first = made.json()["key"]
    assert made.status_code == 201 and made.json()["class"] == "batch"
    assert await opens(first), "in force with the answer"
    second = (await kept.ops.post("/keys/alice/rotate", json={"grace": "0s"})).json()["key"]
    assert await opens(second) and not await opens(first)
    assert (await kept.ops.post("/keys/alice/change", json={"models": ["x"]})).status_code == 200
    terms = {"class": None, "requests_per_min": 5, "expires": None, "models": None}
    changed = (await kept.ops.post("/keys/alice/change", json=terms)).json()
    assert (changed["class"], changed["requests_per_min"], changed["models"]) == (None, 5, [])
    assert changed["expires_at"] is None and changed["scope"] == "client" and "key" not in changed
    assert (await kept.ops.post("/keys/alice/revoke")).json()["state"] == "revoked"
    assert not await opens(second)
    page = await kept.ops.get("/keys")
    assert [key["name"] for key in page.json()["keys"]] == ["alice"]
    for text in (first, second):
        assert text not in page.text and hash_key(text).hex() not in page.text
        assert not any(text in line for line in kept.lines)


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/keys", b"{", 422, "JSON"),
        ("/keys", b'{"name": "../x"}', 422, "name"),
        ("/keys", b'{"name": "x", "admin": true}', 422, "no such setting"),
        ("/keys", b'{"name": "x", "expires": "1d", "concurrency": 0}', 422, "concurrency"),
        ("/keys", b'{"name": "x", "expires": "soon"}', 422, "expires"),
        ("/keys", b" " * 70_000, 422, "64 KiB"),
        ("/keys/nobody/revoke", b"", 404, "nobody"),
        ("/keys/nobody/change", b'{"concurrency": 1}', 404, "nobody"),
        ("/keys/nobody/change", b'{"concurrency": "many"}', 422, "concurrency"),
        ("/keys/nobody/change", b'{"name": "other"}', 422, "name"),
        ("/keys/nobody/rotate", b'{"grace": "later"}', 422, "grace"),
        ("/nowhere", b"", 404, "not served"),
        ("/keys/", b"{}", 404, "not served"),
    ],
)
async def test_what_is_refused(kept: Gate, path: str, body: bytes, status: int, word: str) -> None:
    answer = await kept.ops.post(path, content=body)
    assert answer.status_code == status
    assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize("size", [200_000, 2_000_000])
async def test_what_is_far_too_large_is_hung_up_on(kept: Gate, size: int) -> None:
    with pytest.raises(httpx.TransportError):
        await kept.ops.post("/keys", content=b" " * size)
    with pytest.raises(httpx.TransportError):
        await kept.ops.get("/server", headers={"x-long": "x" * size})
    assert (await kept.ops.get("/server")).status_code == 200


async def test_half_a_second_request_holds_no_place_for_ever(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opslistener, "HEAD_S", 0.5)
    async with gateway(config(engine.url, state_dir=tmp_path)):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "ops.sock"))
        writer.write(b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"]}")
        writer.write(b"G")
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


async def test_a_defect_is_told_without_its_words(kept: Gate) -> None:
    broken = Attached.__new__(Attached)  # without a snapshot: looking at it fails
    engines = kept.fleet.engines
    kept.fleet.engines = [broken]
    answer = await kept.ops.get("/engines")
    kept.fleet.engines = engines
    assert answer.status_code == 500 and "Internal error" in answer.text
    (told,) = [json.loads(line) for line in kept.lines if '"defect"' in line]
    assert told["kind"] == "AttributeError" and "snapshot" not in answer.text


async def test_what_operators_ask_is_not_counted_as_clients(kept: Gate) -> None:
    for _ in range(3):
        await kept.ops.get("/engines")
    assert await kept.figure("seekserve_requests_total") == 0


def reload(folder: Path) -> Result:
    return CliRunner().invoke(cli, ["reload"], env={"SEEKSERVE_STATE_DIR": str(folder)})


async def test_the_verb(kept: Gate, tmp_path: Path) -> None:
    nothing = await asyncio.to_thread(reload, tmp_path)
    assert (nothing.exit_code, nothing.stdout) == (0, "Nothing has changed.\n")
    keyfile.edit(tmp_path / keyfile.NAME, lambda keys: keys)
    (tmp_path / keyfile.NAME).write_text('{"version": 1, "keys": [{"id": "nope"}]}')
    wrong = await asyncio.to_thread(reload, tmp_path)
    assert (
        wrong.exit_code == 2 and "does not fit" in wrong.stderr and "Mend the file" in wrong.stderr
    )


def test_the_verb_without_a_server(tmp_path: Path) -> None:
    result = reload(tmp_path)
    assert result.exit_code == 2
    assert "No server runs" in result.stderr and "seekserve serve" in result.stderr


def test_the_verb_and_a_server_that_says_nonsense(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "ops.sock"))
        hung.listen()
        child = [sys.executable, "-m", "seekserve", "reload"]
        env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(tmp_path)}
        with subprocess.Popen(child, env=env, stderr=subprocess.PIPE, text=True) as asking:
            hung.accept()[0].close()  # the look whether anybody lives
            connection = hung.accept()[0]
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n<p>")
            _, told = asking.communicate(timeout=60)
            connection.close()
    assert asking.returncode == 2 and "does not answer" in told and "Traceback" not in told

"""The key file: private, whole, changed by one at a time; and taken up by a server that runs."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seekserve.app import build
from seekserve.config import load
from seekserve.engine.fleet import Fleet
from seekserve.errors import ConfigError, OpenToTheWorld
from seekserve.gateway import keychanges, keyfile
from seekserve.gateway.keys import Key, mint, new_id
from seekserve.log import Log
from tests.support import KEY, FakeEngine, Gate, config, fake_engine, gateway, until

SOON_S = 2.0
"""The promise: a change of the file is in force this soon."""


def add(path: Path, name: str, **more: Any) -> str:
    """Puts a key into the file, and returns its text."""
    texts: list[str] = []

    def added(known: tuple[Key, ...]) -> tuple[Key, ...]:
        keychanges.untaken(known, name)
        id_ = new_id({key.id for key in known})
        text, secret = mint(id_)
        texts.append(text)
        told = {"id": id_, "name": name, "secrets": (secret,), "created_at": datetime.now(UTC)}
        return (*known, Key.model_validate(told | more))

    keyfile.edit(path, added)
    return texts[-1]


@asynccontextmanager
async def behind_keys(engine: FakeEngine, folder: Path, **more: Any) -> AsyncIterator[Gate]:
    """A gateway with the key of alice in its key file, which the client sends."""
    text = add(folder / keyfile.NAME, "alice", **more)
    async with gateway(config(engine.url, state_dir=folder)) as gate:
        gate.client.headers["x-api-key"] = text
        yield gate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / keyfile.NAME


# The file.


def test_it_is_its_owners_alone_and_holds_no_key(path: Path) -> None:
    text = add(path, "alice", models=("a",), expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert path.stat().st_mode & 0o777 == 0o600
    assert text.rpartition("-")[2] not in path.read_text()
    assert json.loads(path.read_text())["version"] == keyfile.VERSION
    (key,) = keyfile.read(path).keys
    assert (key.name, key.models, key.requests_per_min) == ("alice", ("a",), None)
    assert sorted(p.name for p in path.parent.iterdir()) == ["keys.json", "keys.lock"]


def test_no_file_is_no_keys(path: Path) -> None:
    assert keyfile.read(path) == keyfile.Read((), ())
    assert keyfile.stamp(path) == ()


def test_what_is_read_is_stamped_as_what_is_there(path: Path) -> None:
    add(path, "alice")
    first = keyfile.stamp(path)
    assert keyfile.read(path).stamp == first
    path.chmod(0o640)
    assert keyfile.stamp(path) != first
    path.chmod(0o600)
    add(path, "bob")
    assert keyfile.stamp(path) != first


def adder(path: Path, first: int, start: Any) -> None:
    start.wait()
    for number in range(first, first + 10):
        add(path, f"key{number}")


def test_two_processes_that_add_at_once_lose_nothing(path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    start = fork.Event()
    both = [fork.Process(target=adder, args=(path, first, start)) for first in (0, 10)]
    for process in both:
        process.start()
    start.set()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    keys = keyfile.read(path).keys
    assert {key.name for key in keys} == {f"key{number}" for number in range(20)}
    assert len({key.id for key in keys}) == 20


def damaged(path: Path, change: Callable[[Any], Any]) -> None:
    page = json.loads(path.read_text())
    told = change(page)
    path.write_text(json.dumps(page if told is None else told))


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "newer": (lambda p: p.update(version=2), "newer seekserve"),
    "no version": (lambda p: p.pop("version") and None, "damaged"),
    "odd version": (lambda p: p.update(version=True), "damaged"),
    "a list": (lambda p: [p], "damaged"),
    "a number": (lambda p: 5, "damaged"),
    "an unknown field": (
        lambda p: p["keys"][0].update(admin=True),
        "admin: there is no such setting",
    ),
    "a stray part": (lambda p: p.update(more=1), "nothing else"),
    "no key": (lambda p: p["keys"].append(None), "key number 2"),
    "no keys": (lambda p: p.pop("keys") and None, "keys"),
    "a negative limit": (lambda p: p["keys"][0].update(concurrency=-1), "concurrency"),
    "no digest": (lambda p: p["keys"][0].update(secrets=[]), "secrets"),
    "a short digest": (lambda p: p["keys"][0]["secrets"][0].update(sha256="ab"), "sha256"),
    "a time without a zone": (lambda p: p["keys"][0].update(expires_at="2027-01-01"), "expires_at"),
    "a name twice": (lambda p: p["keys"].append(p["keys"][0] | {"id": "0" * 12}), "two keys"),
    "an id twice": (lambda p: p["keys"].append(p["keys"][0] | {"name": "bob"}), "two keys"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_whole(path: Path, case: str) -> None:
    add(path, "alice")
    digest = keyfile.read(path).keys[0].secrets[0].sha256
    change, word = WRONG[case]
    damaged(path, change)
    before = path.read_bytes()
    for act in (lambda: keyfile.read(path), lambda: add(path, "bob")):
        with pytest.raises(ConfigError) as raised:
            act()
        told = raised.value.message + raised.value.todo
        assert word in told and str(path) in told and digest not in told
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'{"version":1'])
def test_what_is_no_page_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        keyfile.read(path)
    assert path.read_bytes() == text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o777])
def test_one_that_others_may_read_or_write_is_refused(path: Path, mode: int) -> None:
    add(path, "alice")
    path.chmod(mode)
    with pytest.raises(ConfigError) as raised:
        keyfile.read(path)
    assert raised.value.todo == f"chmod 600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_one_of_another_user_is_refused(path: Path) -> None:
    add(path, "alice")
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match="another user") as raised:
        keyfile.read(path)
    assert "chmod 600" in raised.value.todo


def test_what_is_no_file_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="no plain file"):
        keyfile.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=r"Cannot read|no plain file"):
        keyfile.read(path)


def test_a_lock_that_is_held_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "LOCK_S", 0.1)

    def within(known: tuple[Key, ...]) -> tuple[Key, ...]:
        with pytest.raises(ConfigError, match="locked by another"):
            add(path, "bob")
        return known

    keyfile.edit(path, within)
    assert add(path, "bob")


def test_a_full_disk_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(path, "alice")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        add(path, "bob")
    assert path.read_bytes() == before
    assert not path.with_suffix(".new").exists()


def test_a_change_that_fails_changes_nothing(path: Path) -> None:
    add(path, "alice")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="taken"):
        add(path, "alice")
    assert path.read_bytes() == before


def test_what_a_crash_left_behind_is_no_hindrance(path: Path) -> None:
    path.with_suffix(".new").write_text("half a page")
    add(path, "alice")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keyfile.read(path).keys) == 1


# At the start.


def test_a_server_that_cannot_read_it_does_not_start(path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as raised:
        build(config("unix:/x", state_dir=path.parent), Fleet([]), Log())
    assert raised.value.todo


EVERYWHERE = {"host": "0.0.0.0", "port": 0}


def test_beyond_loopback_there_must_be_a_key(tmp_path: Path) -> None:
    with pytest.raises(OpenToTheWorld) as raised:
        load("demo", listen=EVERYWHERE, state_dir=tmp_path)
    assert "seekserve keys add" in raised.value.todo and "--no-auth" in raised.value.todo
    assert load("demo", listen=EVERYWHERE, state_dir=tmp_path, keys_stored=1).keys_stored
    assert load("demo", listen=EVERYWHERE, state_dir=tmp_path, no_auth=True).open


@pytest.mark.parametrize("more", [{"api_key": "sk"}, {"keys_stored": 2}])
def test_keys_and_no_keys_is_not_understood(tmp_path: Path, more: dict[str, Any]) -> None:
    for listen in (EVERYWHERE, {}):
        with pytest.raises(ConfigError, match="--no-auth"):
            load("demo", listen=listen, state_dir=tmp_path, no_auth=True, **more)


async def status(gate: Gate, text: str = "", **headers: str) -> int:
    given = {"x-api-key": text} if text else {}
    return (await gate.client.get("/v1/models", headers=given | headers)).status_code


async def test_without_auth_everybody_is_let_in(engine: FakeEngine, tmp_path: Path) -> None:
    open_ = config(engine.url, state_dir=tmp_path, listen={"host": "0.0.0.0"})
    async with gateway(open_.model_copy(update={"no_auth": True})) as gate:
        assert await status(gate, host="a.example", origin="https://b.example") == 200
    async with gateway(open_) as gate:
        assert await status(gate) == 401, "open beyond loopback only where that was said"


async def test_keys_that_vanished_before_the_start_open_nothing(
    engine: FakeEngine, tmp_path: Path
) -> None:
    settings = config(engine.url, state_dir=tmp_path).model_copy(update={"keys_stored": 1})
    async with gateway(settings) as gate:
        assert await status(gate) == 401


# While it runs. The file is changed from elsewhere, as a command would.


def replaced(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def removed(path: Path) -> None:
    path.unlink()


async def changed(gate: Gate, text: str, wanted: int) -> None:
    async def so() -> bool:
        return await status(gate, text) == wanted

    await until(so, f"the key to be answered with {wanted}", within_s=SOON_S)


async def test_a_key_added_is_let_in_and_a_stream_flows_on(
    engine: FakeEngine, tmp_path: Path, path: Path
) -> None:
    async with behind_keys(engine, tmp_path) as gate:
        alice = gate.client.headers.pop("x-api-key")
        body = gate.chat("fault:slow interval=0.05 tokens=60", stream=True)
        seen: list[str] = []

        async def reads() -> None:
            async with gate.client.stream(
                "POST", "/v1/chat/completions", json=body, headers={"x-api-key": alice}
            ) as answer:
                assert answer.status_code == 200
                seen.extend([line async for line in answer.aiter_lines() if line])

        stream = asyncio.create_task(reads())
        await until(lambda: engine.running == 1, "the stream to run")
        bob = add(path, "bob")
        await changed(gate, bob, 200)
        keyfile.edit(path, lambda keys: keychanges.revoked(keys, "alice", datetime.now(UTC)))
        await changed(gate, alice, 401)
        assert not stream.done(), "both changes came while the stream ran"
        await stream
        assert seen[-1] == "data: [DONE]" and sum('"w' in s or " w" in s for s in seen) == 60
        refused = await gate.client.get("/v1/models", headers={"x-api-key": alice})
        assert "revoked on" in refused.json()["error"]["message"]
        assert await status(gate, bob) == 200


async def test_a_damaged_file_leaves_the_last_good_keys_in_force(
    engine: FakeEngine, tmp_path: Path, path: Path
) -> None:
    async with behind_keys(engine, tmp_path) as gate:
        alice = gate.client.headers.pop("x-api-key")
        gate.client.headers["x-api-key"] = alice
        good = await asyncio.to_thread(path.read_bytes)

        async def failing(wanted: float) -> bool:
            return await gate.figure("seekserve_key_file_failing") == wanted

        assert await failing(0)
        for text in (b"{", b'{"version": 9, "keys": []}'):
            replaced(path, text)
            await until(lambda: failing(1), "the failure to show", within_s=SOON_S)
            await asyncio.sleep(1.2)
            assert await status(gate) == 200 and await status(gate, "sk-other") == 401
        told = [line for line in gate.lines if "key_file_failed" in line]
        assert len(told) == 2 and "damaged" in told[0] and "newer" in told[1]
        replaced(path, good)
        await until(lambda: failing(0), "the file to be read again", within_s=SOON_S)
        os.chmod(path, 0o644)
        await until(lambda: failing(1), "the mode to be seen", within_s=SOON_S)
        assert await status(gate) == 200
        assert (await gate.figures())["seekserve_keys{state=active}"] == 1


@pytest.mark.parametrize("gone", ["removed", "emptied", "revoked"])
async def test_keys_that_vanish_open_nothing(
    engine: FakeEngine, tmp_path: Path, path: Path, gone: str
) -> None:
    async with behind_keys(engine, tmp_path) as gate:
        alice = gate.client.headers.pop("x-api-key")
        assert await status(gate, alice) == 200
        if gone == "removed":
            removed(path)
        elif gone == "emptied":
            keyfile.edit(path, lambda keys: ())
        else:
            now = datetime.now(UTC)
            keyfile.edit(path, lambda keys: keychanges.revoked(keys, "alice", now))
        await changed(gate, alice, 401)
        assert await status(gate) == 401


@pytest.mark.parametrize("readable", [True, False])
async def test_an_open_server_closes_when_keys_appear(
    engine: FakeEngine, tmp_path: Path, path: Path, readable: bool
) -> None:
    async with gateway(config(engine.url, state_dir=tmp_path)) as gate:
        assert await status(gate) == 200
        if readable:
            alice = add(path, "alice")
        else:
            replaced(path, b"{")
        await changed(gate, "", 401)
        assert any('"closed"' in line for line in gate.lines)
        if readable:
            assert await status(gate, alice) == 200
        removed(path)
        await asyncio.sleep(1.2)
        assert await status(gate) == 401, "it never opens again by itself"


async def test_the_command_lines_key_is_one_more(
    engine: FakeEngine, tmp_path: Path, path: Path
) -> None:
    limits = {"wrong_keys_per_min": 10_000}  # it is asked again and again until it is known
    async with gateway(config(engine.url, key=KEY, state_dir=tmp_path, limits=limits)) as gate:
        alice = add(path, "alice")
        await changed(gate, alice, 200)
        assert await status(gate, KEY) == 200
        removed(path)
        await changed(gate, alice, 401)
        assert await status(gate, KEY) == 200


async def test_expired_and_of_an_unknown_class(engine: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / keyfile.NAME
    old = add(path, "old", expires_at=datetime.now(UTC) - timedelta(days=1))
    gold = add(path, "goldie", class_name="gold")
    async with gateway(config(engine.url, state_dir=tmp_path)) as gate:
        expired, unknown = [
            await gate.client.get("/v1/models", headers={"authorization": f"Bearer {text}"})
            for text in (old, gold)
        ]
        assert expired.status_code == 401 and "expired on" in expired.json()["error"]["message"]
        assert unknown.status_code == 403 and "'gold'" in unknown.json()["error"]["message"]
        told = next(line for line in gate.lines if "keys_of_unknown_class" in line)
        assert "goldie (gold)" in told
        assert not any(text in line for line in gate.lines for text in (old, gold))


async def test_a_key_sees_and_uses_its_models_alone(tmp_path: Path, library: FakeEngine) -> None:
    path = tmp_path / keyfile.NAME
    narrow, wide = add(path, "narrow", models=("b", "short")), add(path, "wide")
    aliases = {"aliases": {"short": {"model": "a"}, "other": {"model": "a"}}}
    async with gateway(config(library.url, state_dir=tmp_path, dialect=aliases)) as gate:

        async def listed(text: str) -> set[str]:
            answer = await gate.client.get("/v1/models", headers={"x-api-key": text})
            return {model["id"] for model in answer.json()["data"]}

        assert await listed(wide) == {"a", "b", "short", "other"}
        assert await listed(narrow) == {"b", "short"}
        gate.client.headers["x-api-key"] = narrow
        for model, wanted in {"b": 200, "short": 200, "a": 403, "other": 403, "nope": 403}.items():
            answer = await gate.client.post(
                "/v1/chat/completions", json=gate.chat() | {"model": model}
            )
            assert answer.status_code == wanted, model
            found = await gate.client.get(f"/v1/models/{model}")
            assert found.status_code == wanted, model
        assert "It may use: b, short." in found.json()["error"]["message"]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with fake_engine(tmp_path_factory.mktemp("library"), "--model", "a", "--model", "b") as running:
        yield running

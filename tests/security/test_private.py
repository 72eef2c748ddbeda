"""What steers a shared engine is not a client's to send: not in a body, not in a header, not in any API."""

from __future__ import annotations

import importlib.util
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from seekserve.dialect.fields import REFUSED
from seekserve.engine.assembly import assemble
from seekserve.engine.process import Command
from seekserve.gateway import keyfile
from seekserve.log import Log
from seekserve.plan.command import environment
from seekserve.settings import EngineSettings, Limits
from tests.gateway.test_keyfile import add, behind_keys
from tests.support import KEY, FakeEngine, config, gateway

USER = {"role": "user", "content": "hi"}
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "fake", "messages": [USER]},
    "/v1/completions": {"model": "fake", "prompt": "hi"},
    "/beta/completions": {"model": "fake", "prompt": "a", "suffix": "b"},
    "/v1/responses": {"model": "fake", "input": "hi"},
    "/v1/messages": {"model": "fake", "messages": [USER], "max_tokens": 5},
    "/v1/messages/count_tokens": {"model": "fake", "messages": [USER]},
    "/v1/embeddings": {"model": "fake", "input": "hi"},
}
HEADERS = {
    "x-vllm-priority": "-9",
    "x-data-parallel-rank": "3",
    "x-session-id": "steer-me",
    "x-request-id": "steer-me",
    "endpoint-load-metrics-format": "JSON",
    "x-forwarded-for": "10.0.0.1",
    "cookie": "a=steer-me",
    "traceparent": "00-steer-me",
    "content-type": "application/json; steer=me",
}
OURS = {"host", "content-type", "content-length", "x-request-id"}
PRIVATE = sorted(REFUSED | {"made_up", "extra_body", "lora_request", "guided_regex", "mm_data"})


def seen_since(engine: FakeEngine, before: int) -> list[dict[str, Any]]:
    since: list[dict[str, Any]] = engine.state()["seen"][before:]
    return since


@pytest.mark.parametrize("path", ASKED)
async def test_a_private_field_reaches_no_engine(engine: FakeEngine, path: str) -> None:
    """Refused by name, or dropped; what the engine is sent besides is the same as without it."""
    async with gateway(config(engine.url)) as gate:
        before = len(engine.state()["seen"])
        await gate.client.post(path, json=ASKED[path])
        plain = [one["body"] for one in seen_since(engine, before)]
        assert plain, "nothing reached the engine"
        for field in PRIVATE:
            before = len(engine.state()["seen"])
            answer = await gate.client.post(path, json=ASKED[path] | {field: "steer-me"})
            assert answer.status_code in (200, 400, 404), field
            for one in seen_since(engine, before):
                assert one["body"] in plain, field
                assert "steer-me" not in str(one), field
            if answer.status_code == 400 and field in REFUSED:
                assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ASKED)
async def test_template_switches_are_the_two_that_are_meant(engine: FakeEngine, path: str) -> None:
    async with gateway(config(engine.url)) as gate:
        before = len(engine.state()["seen"])
        for switches in (
            {"tokenize": True},
            {"chat_template": "{{ x }}"},
            {"thinking": True, "x": 1},
        ):
            asked = ASKED[path] | {"chat_template_kwargs": switches}
            await gate.client.post(path, json=asked)
        for one in seen_since(engine, before):
            sent = one["body"].get("chat_template_kwargs") or {}
            assert set(sent) <= {"thinking", "enable_thinking"}


@pytest.mark.parametrize("path", ASKED)
async def test_a_clients_headers_reach_no_engine(engine: FakeEngine, path: str) -> None:
    async with gateway(config(engine.url, key=KEY)) as gate:
        before = len(engine.state()["seen"])
        headers = HEADERS | {"authorization": f"Bearer {KEY}"}
        await gate.client.post(path, json=ASKED[path], headers=headers)
        (one,) = seen_since(engine, before)
        lines = one["head"].split("\r\n")[1:-2]
        assert {line.partition(":")[0].lower() for line in lines} <= OURS
        assert "steer" not in one["head"] and KEY not in one["head"]


async def test_each_keys_prefix_cache_is_its_own(engine: FakeEngine, tmp_path: Path) -> None:
    """In every API that fills one: two keys never share a salt, nor do two users of one key."""
    bob = add(tmp_path / keyfile.NAME, "bob")
    async with behind_keys(engine, tmp_path) as gate:
        alice = gate.client.headers.pop("x-api-key")
        for path, asked in ASKED.items():
            if path.endswith(("count_tokens", "embeddings")):
                continue
            user = {"metadata": {"user_id": "u"}} if "messages" in path else {"user_id": "u"}
            salts = []
            for key, more in ((alice, {}), (bob, {}), (alice, user), (bob, user)):
                headers = {"authorization": f"Bearer {key}"}
                answer = await gate.client.post(path, json=asked | more, headers=headers)
                assert answer.status_code == 200, answer.text
                salts.append(engine.asked["cache_salt"])
                assert not [word for word in ("alice", "bob", key) if word in salts[-1]]
            distinct = 2 if path == "/v1/responses" else 4  # which has no user_id
            assert len(set(salts)) == distinct and all(len(salt) == 32 for salt in salts), path


async def test_what_an_engine_inherits_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key of ours in its environment; what a variable of the machine would open is shut."""
    for name in ("VLLM_API_KEY", "SEEKSERVE_API_KEY", "SEEKSERVE_ENGINE_API_KEY"):
        monkeypatch.setenv(name, KEY)
    for name in ("VLLM_SERVER_DEV_MODE", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        monkeypatch.setenv(name, "1")
    limits, settings = Limits(), EngineSettings(model="m")
    added = environment(settings, "cpu", limits, tmp_path)
    told = Command(("engine",), added).environ()
    assert KEY not in told.values()
    shut = "SERVER_DEV_MODE ALLOW_RUNTIME_LORA_UPDATING ALLOW_INSECURE_SERIALIZATION"
    assert {told[f"VLLM_{name}"] for name in (*shut.split(), "MEDIA_URL_ALLOW_REDIRECTS")} == {"0"}


def test_the_engine_knows_every_variable_it_is_given(tmp_path: Path) -> None:
    """A name it does not know would bound nothing. Read from its source: importing it takes seconds."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no vLLM is installed")
    known = (Path(spec.submodule_search_locations[0]) / "envs.py").read_text()
    given = environment(EngineSettings(model="m"), "cpu", Limits(), tmp_path)
    assert [name for name in given if name.startswith("VLLM_") and f'"{name}"' not in known] == []


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM is installed")
async def test_an_engines_socket_is_in_a_folder_of_its_owners() -> None:
    fleet = assemble(config(engine={"model": "demo", "served_as": ["x"]}), Log("json", print))
    try:
        (engine,) = fleet.engines
        folder = Path(engine.snapshot.address.path).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(folder)

"""The routes as OpenAI's and DeepSeek's clients call them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import FakeEngine, Gate, config, fake_engine, gateway

ENVELOPE = {"message", "type", "param", "code"}


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Gate]:
    """A gateway to an engine with several models."""
    with fake_engine(tmp_path, "--model", "a", "--model", "org/b", "--model", "c d") as engine:
        async with gateway(config(engine.url)) as serving:
            yield serving


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_with_and_without_the_prefix(gate: Gate, prefix: str) -> None:
    chat = await gate.client.post(f"{prefix}/chat/completions", json=gate.chat())
    assert chat.json()["object"] == "chat.completion"
    text = await gate.client.post(f"{prefix}/completions", json={"model": "fake", "prompt": "p"})
    assert text.json()["choices"][0]["text"] == " w0 w1 w2 w3 w4 w5"
    listed = await gate.client.get(f"{prefix}/models")
    assert [model["id"] for model in listed.json()["data"]] == ["fake"]
    one = await gate.client.get(f"{prefix}/models/fake")
    assert one.json() == listed.json()["data"][0]


async def test_a_completions_stream(gate: Gate) -> None:
    asked = {"model": "fake", "prompt": "p", "stream": True}
    answer = await gate.client.post("/v1/completions", json=asked)
    assert answer.text.count("data: ") == 8
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_models(library: Gate) -> None:
    listed = (await library.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["a", "org/b", "c d"]
    for model in listed["data"]:
        assert model["object"] == "model"
        assert model["owned_by"] == "seekserve"
        assert model["max_model_len"] == 2048
        assert isinstance(model["created"], int)


@pytest.mark.parametrize(
    ("path", "found"),
    [("org/b", "org/b"), ("org%2Fb", "org/b"), ("c%20d", "c d"), ("org", ""), ("a/", ""), ("", "")],
)
async def test_a_model_by_its_id(library: Gate, path: str, found: str) -> None:
    answer = await library.client.get(f"/v1/models/{path}")
    assert answer.status_code == (200 if found else 404)
    if found:
        assert answer.json()["id"] == found
    else:
        assert answer.json()["error"]["code"] == "model_not_found"
        assert "org/b" in answer.json()["error"]["message"]


async def test_an_unknown_model(gate: Gate) -> None:
    answer = await gate.client.post("/v1/chat/completions", json=gate.chat() | {"model": "gpt"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "fake" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("POST", "/v1/images/generations", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/health/live", 405),
        ("PATCH", "/v1/models/fake", 405),
    ],
)
async def test_what_is_not_served_is_told_in_the_same_shape(
    gate: Gate, method: str, path: str, status: int
) -> None:
    answer = await gate.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == ENVELOPE


async def test_what_reaches_the_engine_is_explicit(gate: Gate, engine: FakeEngine) -> None:
    await gate.ask(max_tokens=99_999, stop=["x"])
    asked = engine.asked
    assert asked["max_tokens"] == 2048
    assert (asked["temperature"], asked["top_p"], asked["stop"]) == (1.0, 1.0, ["x"])
    await gate.stream("hi", temperature=0)
    assert engine.asked["temperature"] == 0
    assert engine.asked["stream_options"] == {"include_usage": True}


async def test_engines_keys_go_up_and_nowhere_else(engine: FakeEngine) -> None:
    settings = config(engine.url).model_copy(update={"key_hashes": ()})
    async with gateway(settings) as gate:
        answer = await gate.client.post(
            "/v1/chat/completions", json=gate.chat(), headers={"authorization": "Bearer sk-client"}
        )
        assert answer.status_code == 200
        assert "sk-client" not in str(engine.state())

"""What DeepSeek's own clients rely on: base URLs, other names, users, silences, where usage stands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import FakeEngine, Gate, config, fake_engine, gateway, post, raw

PREFIXES = ["", "/v1", "/beta"]
ALIASES: dict[str, Any] = {
    "deepseek-chat": {"thinking": "disabled"},
    "deepseek-reasoner": {"thinking": "enabled", "effort": "max"},
    "second": {"model": "b"},
    "a": {"model": "b"},
    "lost": {"model": "nowhere"},
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An engine with two models, which makes vectors too."""
    folder = tmp_path_factory.mktemp("two")
    with fake_engine(folder, "--model", "a", "--model", "b", "--embeds") as running:
        yield running


@pytest.fixture
async def named(two: FakeEngine) -> AsyncIterator[Gate]:
    """The gateway in front of it, with other names."""
    dialect = {"aliases": ALIASES, "claude": {"claude-big*": "b", "claude*": None}}
    async with gateway(config(two.url, dialect=dialect)) as serving:
        yield serving


def chat(model: str = "fake", said: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": said}]} | more


@pytest.mark.parametrize("at", PREFIXES)
async def test_every_route_at_every_base_url(gate: Gate, at: str) -> None:
    told = await gate.client.post(f"{at}/chat/completions", json=chat())
    assert told.json()["object"] == "chat.completion"
    told = await gate.client.post(f"{at}/completions", json={"model": "fake", "prompt": "p"})
    assert told.json()["object"] == "text_completion"
    listed = (await gate.client.get(f"{at}/models")).json()
    assert [model["id"] for model in listed["data"]] == ["fake"]
    assert (await gate.client.get(f"{at}/models/fake")).json() == listed["data"][0]
    told = await gate.client.get(f"{at}/user/balance")
    assert told.json() == {"is_available": True, "balance_infos": []}
    begun = {"role": "assistant", "content": "A", "prefix": True}
    asked = chat() | {"messages": [*chat()["messages"], begun]}
    told = await gate.client.post(f"{at}/chat/completions", json=asked)
    assert told.json()["object"] == "chat.completion"


async def test_the_balance_is_a_keys_own(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key="sk-1")) as gate:
        assert (await gate.client.get("/user/balance")).status_code == 401
        headers = {"authorization": "Bearer sk-1"}
        assert (await gate.client.get("/user/balance", headers=headers)).json()["is_available"]


async def test_other_names_are_listed(named: Gate) -> None:
    listed = (await named.client.get("/models")).json()["data"]
    stands_for = {model["id"]: model.get("alias_of") for model in listed}
    assert stands_for == {
        "a": None,
        "b": None,
        "deepseek-chat": "a",
        "deepseek-reasoner": "a",
        "second": "b",
    }
    for model in listed:
        assert (await named.client.get(f"/models/{model['id']}")).json() == model
    assert (await named.client.get("/models/lost")).status_code == 404


@pytest.mark.parametrize(
    ("name", "model", "switch", "effort"),
    [
        ("deepseek-chat", "a", False, None),
        ("deepseek-reasoner", "a", True, "max"),
        ("second", "b", None, None),
        ("a", "a", None, None),
        ("b", "b", None, None),
    ],
)
async def test_other_names_answer(
    named: Gate, two: FakeEngine, name: str, model: str, switch: bool | None, effort: str | None
) -> None:
    assert (await named.client.post("/chat/completions", json=chat(name))).status_code == 200
    asked = two.asked
    assert asked["model"] == model
    assert asked.get("chat_template_kwargs", {}).get("thinking") == switch
    assert asked.get("reasoning_effort") == effort
    told = await named.client.post("/completions", json={"model": name, "prompt": "p"})
    assert told.status_code == 200
    assert two.asked["model"] == model
    told = await named.client.post("/v1/responses", json={"model": name, "input": "x"})
    assert told.json()["status"] == "completed"


async def test_a_name_that_stands_for_nothing(named: Gate) -> None:
    told = await named.client.post("/chat/completions", json=chat("lost"))
    assert (told.status_code, told.json()["error"]["code"]) == (404, "model_not_found")
    assert "nowhere" in told.json()["error"]["message"]
    told = await named.client.post("/chat/completions", json=chat("claude-x"))
    assert told.status_code == 404, "claude is a name on /v1/messages alone"


@pytest.mark.parametrize(
    ("name", "model"), [("claude-big-1", "b"), ("claude-small", "a"), ("second", "b"), ("b", "b")]
)
async def test_claude_patterns(named: Gate, two: FakeEngine, name: str, model: str) -> None:
    asked = chat(name, max_tokens=5)
    told = (await named.client.post("/anthropic/v1/messages", json=asked)).json()
    assert (told["model"], two.asked["model"]) == (name, model)


@pytest.mark.parametrize("path", ["/embeddings", "/v1/embeddings", "/beta/embeddings"])
async def test_embeddings(named: Gate, two: FakeEngine, path: str) -> None:
    asked = {"model": "second", "input": ["x", "y"], "dimensions": 1, "user": "u", "priority": 1}
    told = (await named.client.post(path, json=asked)).json()
    assert [one["embedding"] for one in told["data"]] == [[0.5], [0.5]]
    assert (told["object"], told["model"]) == ("list", "b")
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert two.asked == {"model": "b", "input": ["x", "y"], "dimensions": 1}


async def test_an_engine_that_makes_no_vectors(gate: Gate) -> None:
    told = await gate.client.post("/embeddings", json={"model": "fake", "input": "x"})
    assert (told.status_code, told.json()["error"]["code"]) == (404, "unsupported")


@pytest.mark.parametrize("given", ["", [], [""] * 65])
async def test_embeddings_of_nothing_or_too_much(gate: Gate, given: Any) -> None:
    told = await gate.client.post("/embeddings", json={"model": "fake", "input": given})
    assert (told.status_code, told.json()["error"]["param"]) == (400, "input")


async def test_users_are_kept_apart(gate: Gate, engine: FakeEngine) -> None:
    async def salt(path: str = "/chat/completions", **more: Any) -> Any:
        asked = chat(max_tokens=5, **more) | ({"prompt": "p"} if path == "/completions" else {})
        assert (await gate.client.post(path, json=asked)).status_code == 200
        assert "user_id" not in engine.asked and "metadata" not in engine.asked
        return engine.asked.get("cache_salt")

    one = await salt(user_id="one")
    assert 16 <= len(one) <= 128 and "one" not in one
    assert await salt(user_id="one") == await salt("/completions", user_id="one") == one
    assert await salt("/v1/messages", metadata={"user_id": "one"}) == one
    others = [await salt(user_id="two"), await salt(user_id='{"a": "\u00fc"}'), await salt()]
    assert len({one, *others}) == 4 and others[-1] is None


@pytest.mark.parametrize("odd", ["x", 7, {"user_id": 5}, {"user_id": {}}, []])
async def test_users_that_are_none(gate: Gate, odd: Any) -> None:
    told = await gate.client.post("/v1/messages", json=chat(max_tokens=5, metadata=odd))
    assert told.status_code == 400
    assert "metadata" in told.json()["error"]["message"]
    told = await gate.client.post("/chat/completions", json=chat(user_id="x" * 513))
    assert told.status_code == 400


QUICK = {"keepalive_s": 0.05, "bridge_after_s": 0.1}


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/messages"])
async def test_a_slow_whole_answer_begins_with_blank_lines(engine: FakeEngine, path: str) -> None:
    async with gateway(config(engine.url, listen=QUICK)) as gate:
        asked = chat(said="fault:late wait=0.5", max_tokens=5)
        told = await gate.client.post(path, json=asked)
        assert told.status_code == 200
        assert told.headers["content-type"] == "application/json"
        blank = len(told.content) - len(told.content.lstrip(b"\n"))
        assert blank >= 2
        assert json.loads(told.content)["model"] == "fake"
        quick = await gate.client.post(path, json=chat(max_tokens=5))
        assert quick.content.startswith(b"{")
        assert int(quick.headers["content-length"]) == len(quick.content)


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/chat/completions", "invalid_request_error"), ("/v1/messages", "invalid_request_error")],
)
async def test_a_failure_after_the_blank_lines(engine: FakeEngine, path: str, shape: str) -> None:
    """The status is told by then: the body is the error, cut off so that nobody takes it for an answer."""
    async with gateway(config(engine.url, listen=QUICK)) as gate:
        asked = chat(said="fault:late_refusal wait=0.4", max_tokens=5)
        with pytest.raises(httpx.RemoteProtocolError):
            await gate.client.post(path, json=asked)
        reader, writer = await raw(gate.port, post(json.dumps(asked).encode(), path))
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200") and b"transfer-encoding: chunked" in head
        parts = rest.split(b"\r\n")
        assert parts[1] == b"\n" and b"0" not in parts
        told = json.loads(parts[-2])
        assert told["error"]["type"] == shape
        assert "maximum context length" in told["error"]["message"]
        assert (told.get("type") == "error") is (path == "/v1/messages")
        await gate.at_rest()
        figures = await gate.figures()
        assert (
            figures["seekserve_rejections_total{class=public,reason=context_length_exceeded}"] == 2
        )


async def test_a_failure_before_them_has_its_own_status(engine: FakeEngine) -> None:
    patient = {"keepalive_s": 0.05, "bridge_after_s": 30}
    async with gateway(config(engine.url, listen=patient)) as gate:
        asked = chat(said="fault:late_refusal wait=0.3")
        assert (await gate.client.post("/chat/completions", json=asked)).status_code == 400


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "prefix"])
async def test_usage_with_the_last_choice(engine: FakeEngine, path: str) -> None:
    asked = chat(stream=True, prompt="p")
    if path == "prefix":
        asked["messages"].append({"role": "assistant", "content": "A", "prefix": True})
        path = "/chat/completions"
    for form in ("last_event", "own_event"):
        async with gateway(config(engine.url, dialect={"stream_usage": form})) as gate:
            told = await gate.client.post(path, json=asked)
        *events, done = told.text.split("\n\n")[:-1]
        assert done == "data: [DONE]"
        told_in = [at for at, one in enumerate(events) if '"usage"' in one]
        assert told_in == ([len(events) - 1] if form == "last_event" else [])
        last = json.loads(events[-1].removeprefix("data: "))
        assert last["choices"][0]["finish_reason"] == "stop"
        if told_in:
            assert last["usage"]["prompt_cache_hit_tokens"] == 8


async def test_it_is_documented_once(gate: Gate, tmp_path: Path) -> None:
    paths = (await gate.client.get("/openapi.json")).json()["paths"]
    assert "/user/balance" in paths and "/v1/embeddings" in paths
    assert not [path for path in paths if path.startswith("/beta")]

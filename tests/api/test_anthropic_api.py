"""Anthropic's own client against the gateway, over a socket, in front of the fake engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from tests.support import KEY, FakeEngine, Gate, config, fake_engine, gateway, post, raw

TOOLS: Any = [{"name": "f0", "description": "d", "input_schema": {"type": "object"}}]
WARM: Any = {"extra_body": {"temperature": 0.2}}  # version 2 of the client has no name for it


def client(gate: Gate, prefix: str = "", key: str = "none") -> AsyncAnthropic:
    return AsyncAnthropic(
        api_key=key, base_url=f"http://127.0.0.1:{gate.port}{prefix}", max_retries=0, timeout=20
    )


@pytest.fixture
async def claude(gate: Gate) -> AsyncIterator[AsyncAnthropic]:
    async with client(gate) as one:
        yield one


async def create(claude: AsyncAnthropic, said: Any = "hello", **more: Any) -> Message:
    turns = [{"role": "user", "content": said}] if isinstance(said, str) else said
    given: dict[str, Any] = {"model": "fake", "max_tokens": 50, "messages": turns} | more
    message: Message = await claude.messages.create(**given)
    return message


async def streamed(claude: AsyncAnthropic, said: Any = "hello", **more: Any) -> Message:
    turns = [{"role": "user", "content": said}] if isinstance(said, str) else said
    given: dict[str, Any] = {"model": "fake", "max_tokens": 50, "messages": turns} | more
    async with claude.messages.stream(**given) as stream:
        message: Message = await stream.get_final_message()
    return message


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
@pytest.mark.parametrize("ask", [create, streamed])
async def test_a_message(gate: Gate, engine: FakeEngine, prefix: str, ask: Any) -> None:
    async with client(gate, prefix) as claude:
        message = await ask(claude, system="be brief", stop_sequences=["x"], **WARM)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == " w0 w1 w2"
    assert message.content[0].signature
    assert message.content[1].text == " w3 w4 w5"
    assert (message.id, message.model, message.role) == ("msg_1", "fake", "assistant")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (4, 8, 6)
    asked = engine.asked
    assert asked["messages"][0] == {"role": "system", "content": "be brief"}
    assert (asked["max_tokens"], asked["stop"], asked["temperature"]) == (50, ["x"], 0.2)


async def test_the_text_stream(claude: AsyncAnthropic) -> None:
    said: list[dict[str, Any]] = [{"role": "user", "content": "tokens=40"}]
    async with claude.messages.stream(model="fake", max_tokens=50, messages=said) as stream:  # type: ignore[arg-type]
        texts = [text async for text in stream.text_stream]
    assert texts == [f" w{number}" for number in range(20, 40)]


@pytest.mark.parametrize("fault", ["burst", "dribble", "crlf", "spaced"])
async def test_however_the_engine_writes(claude: AsyncAnthropic, fault: str) -> None:
    message = await streamed(claude, f"fault:{fault}")
    assert message.content[1].text == " w3 w4 w5"  # type: ignore[union-attr]


@pytest.mark.parametrize("ask", [create, streamed])
async def test_a_round_of_tools(claude: AsyncAnthropic, engine: FakeEngine, ask: Any) -> None:
    """What comes back (thinking, signature, calls) is sent again as it is, with the results."""
    said: list[Any] = [{"role": "user", "content": "fault:tools calls=3"}]
    message = await ask(claude, said, tools=TOOLS)
    assert message.stop_reason == "tool_use"
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        (f"f{number}", {"n": number, "say": 'a "b"\n'}) for number in range(3)
    ]
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": c.name} for c in calls]
    said += [
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": results},
    ]
    again = await ask(claude, said, tools=TOOLS)
    assert again.stop_reason == "end_turn"
    turn, *told = engine.asked["messages"][1:]
    assert turn["reasoning_content"] == " w0 w1 w2"
    assert turn["content"] == " w3 w4 w5"
    assert [call["id"] for call in turn["tool_calls"]] == [m["tool_call_id"] for m in told]
    assert json.loads(turn["tool_calls"][1]["function"]["arguments"])["n"] == 1
    assert [message["content"] for message in told] == ["f0", "f1", "f2"]


async def test_thinking_is_a_switch(claude: AsyncAnthropic, engine: FakeEngine) -> None:
    for thinking, on in (
        ({"type": "enabled", "budget_tokens": 1024}, True),
        ({"type": "adaptive"}, True),
        ({"type": "disabled"}, False),
    ):
        await create(claude, thinking=thinking)
        assert engine.asked["chat_template_kwargs"] == {"thinking": on, "enable_thinking": on}


async def test_any_claude_is_the_first_model(tmp_path: Path) -> None:
    with fake_engine(tmp_path, "--model", "a", "--model", "claude-b") as engine:
        async with gateway(config(engine.url)) as gate, client(gate) as claude:
            for name, meant in (("claude-some-model", "a"), ("claude-b", "claude-b"), ("a", "a")):
                assert (await create(claude, model=name)).model == name
                assert engine.asked["model"] == meant
            assert (await streamed(claude, model="claude-other")).model == "claude-other"


async def test_betas_and_what_they_bring(claude: AsyncAnthropic) -> None:
    message = await create(
        claude,
        metadata={"user_id": '{"device_id":"x"}'},
        extra_headers={"anthropic-beta": "context-management-2025-06-27"},
        extra_body={"context_management": {"edits": []}},
        system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    )
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
async def test_counting(gate: Gate, engine: FakeEngine, prefix: str) -> None:
    async with client(gate, prefix) as claude:
        said: Any = [{"role": "user", "content": "four"}]
        counted = await claude.messages.count_tokens(
            model="claude-x", messages=said, system="two", tools=TOOLS
        )
    assert counted.input_tokens == 7
    assert engine.state()["seen"][-1]["path"] == "/tokenize"
    assert engine.asked["tools"][0]["function"]["name"] == "f0"
    assert "max_tokens" not in engine.asked


async def test_an_engine_that_does_not_count(claude: AsyncAnthropic) -> None:
    said: Any = [{"role": "user", "content": "fault:no_route"}]
    with pytest.raises(anthropic.NotFoundError) as refused:
        await claude.messages.count_tokens(model="fake", messages=said)
    assert "/tokenize" in str(refused.value)


@pytest.mark.parametrize(
    ("said", "more", "kind", "type_"),
    [
        ("x", {"model": "gpt"}, anthropic.NotFoundError, "not_found_error"),
        ("x", {"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error"),
        ("x", {"messages": []}, anthropic.BadRequestError, "invalid_request_error"),
        ("x", {"tool_choice": {"type": "any"}}, anthropic.BadRequestError, "invalid_request_error"),
        ("x", {"extra_body": {"priority": 1}}, anthropic.BadRequestError, "invalid_request_error"),
        ("fault:too_long", {}, anthropic.BadRequestError, "invalid_request_error"),
        ("fault:status code=404", {}, anthropic.NotFoundError, "not_found_error"),
        ("fault:status code=503", {}, anthropic.InternalServerError, "overloaded_error"),
        ("fault:status code=500", {}, anthropic.InternalServerError, "api_error"),
        ("fault:bad_json", {}, anthropic.InternalServerError, "api_error"),
        ("fault:array", {}, anthropic.InternalServerError, "api_error"),
        ("fault:odd_json", {}, anthropic.InternalServerError, "api_error"),
    ],
)
async def test_errors(
    claude: AsyncAnthropic, said: str, more: dict[str, Any], kind: type[Any], type_: str
) -> None:
    with pytest.raises(kind) as refused:
        await create(claude, said, **more)
    error = refused.value
    assert isinstance(error, anthropic.APIStatusError)
    assert isinstance(error.body, dict)
    assert (error.body["type"], error.body["error"]["type"]) == ("error", type_)
    assert error.body["error"]["message"]
    assert error.request_id and error.request_id == error.body["request_id"]


IMAGE = {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([IMAGE], "messages.0.content.0.type"),
        ([{"type": "document", "source": {}}], "messages.0.content.0.type"),
        ([{"text": "no type"}], "messages.0.content.0.type is missing"),
        ([{"type": "text"}], "messages.0.content.0.text.text is missing"),
        ([{"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}], "messages.0.content"),
        ([{"type": "tool_result", "tool_use_id": "t", "content": "x"}], "no earlier tool_use"),
        (7, "messages.0.content"),
    ],
)
async def test_blocks_that_cannot_be_read(gate: Gate, content: Any, said: str) -> None:
    asked = {"model": "fake", "max_tokens": 5, "messages": [{"role": "user", "content": content}]}
    answer = await gate.client.post("/v1/messages", json=asked)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert said in error["message"]
    assert "y.png" not in error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model":"\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b"null"]
)
async def test_bodies_that_are_none(gate: Gate, body: bytes) -> None:
    for path in ("/v1/messages", "/anthropic/v1/messages/count_tokens"):
        answer = await gate.client.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["type"] == "error"


async def test_keys(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key=KEY)) as gate:
        async with client(gate, "/anthropic", KEY) as claude:
            assert (await create(claude)).role == "assistant"
        async with AsyncAnthropic(
            auth_token=KEY, base_url=f"http://127.0.0.1:{gate.port}"
        ) as claude:
            assert (await create(claude)).role == "assistant"
        async with client(gate, "", "wrong") as claude:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await create(claude)
        assert refused.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "path", "status", "type_"),
    [
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/anthropic/v1/nothing", 404, "not_found_error"),
        ("GET", "/anthropic/v1/messages/batches", 404, "not_found_error"),
    ],
)
async def test_routes_that_are_none(
    gate: Gate, method: str, path: str, status: int, type_: str
) -> None:
    answer = await gate.client.request(method, path)
    assert answer.status_code == status
    told = answer.json()
    assert (told["type"], told["error"]["type"]) == ("error", type_)
    assert told["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_our_own_defects_are_told_so_too(
    gate: Gate, claude: AsyncAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(gate.fleet), "cards", lambda fleet: 1 / 0)
    with pytest.raises(anthropic.InternalServerError) as broke:
        await create(claude)
    assert broke.value.body["error"]["type"] == "api_error"  # type: ignore[index]


async def test_other_paths_keep_their_shape(gate: Gate) -> None:
    answer = await gate.client.post("/v1/chat/completions", content=b"{")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert "request-id" not in answer.headers


@pytest.mark.parametrize("fault", ["error_event", "half_event", "no_done", "close_before_done"])
async def test_a_stream_that_breaks(claude: AsyncAnthropic, fault: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as broke:
        await streamed(claude, f"fault:{fault}")
    assert broke.value.body["error"]["type"] == "api_error"  # type: ignore[index]


async def test_silences_before_and_within_a_stream(engine: FakeEngine) -> None:
    settings = config(engine.url, listen={"keepalive_s": 0.05})
    async with gateway(settings) as gate, client(gate) as claude:
        asked = {"model": "fake", "max_tokens": 5, "stream": True}
        for fault, sign in (("late", ": keep-alive\n\n"), ("pause", "event: ping\n")):
            turns = [{"role": "user", "content": f"fault:{fault} wait=0.3"}]
            answer = await gate.client.post("/v1/messages", json=asked | {"messages": turns})
            assert answer.text.count(sign) > 2
            assert (await streamed(claude, turns)).stop_reason == "end_turn"
        with pytest.raises(anthropic.APIStatusError) as refused:
            await streamed(claude, "fault:late_refusal wait=0.2")
        assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]


async def test_who_leaves_frees_the_engine(gate: Gate, engine: FakeEngine) -> None:
    turns = [{"role": "user", "content": "fault:endless"}]
    asked = {"model": "fake", "max_tokens": 5, "stream": True, "messages": turns}
    reader, writer = await raw(gate.port, post(json.dumps(asked).encode(), "/v1/messages"))
    await reader.readuntil(b"content_block_delta")
    writer.close()
    await gate.at_rest()
    assert engine.running == 0


async def test_it_is_documented(gate: Gate) -> None:
    page = (await gate.client.get("/openapi.json")).json()
    for path, name in (
        ("messages", "MessagesRequest"),
        ("messages/count_tokens", "CountTokensRequest"),
    ):
        for prefix in ("/v1", "/anthropic/v1"):
            body = page["paths"][f"{prefix}/{path}"]["post"]["requestBody"]["content"]
            assert body["application/json"]["schema"]["$ref"].endswith(f"/{name}")
            assert name in page["components"]["schemas"]

"""Bodies: capped in bytes and seconds, and what is wrong with them is said without repeating them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from seekserve.api import body
from seekserve.api.openapi import BODIES
from seekserve.api.responses import ResponsesRequest
from seekserve.api.schemas import ChatRequest, CompletionRequest
from seekserve.errors import BadRequest
from seekserve.settings import Limits
from tests.support import FakeEngine, Gate, config, gateway, post, raw

SECRET = "Zecret-prompt"
USER = {"role": "user", "content": "hi"}
CHAT: dict[str, Any] = {"model": "m", "messages": [USER]}


def refused(given: Any, schema: Any = ChatRequest) -> BadRequest:
    """The refusal of a body; its message never holds what was sent."""
    data = given if isinstance(given, bytes) else json.dumps(given).encode()
    with pytest.raises(BadRequest) as caught:
        body.check(body.parse(data, schema), Limits(choices=4, messages=5, tools=2, prompts=4))
    assert SECRET not in caught.value.message
    assert SECRET not in (caught.value.param or "")
    assert len(caught.value.message) < 500
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{'model': 'm'}",
        b'{"model": "m",}',
        b"\xff\xfe",
        b'{"model": "\xed\xa0\x80"}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"model": "m", "max_tokens": ' + b"9" * 5_000 + b"}",
        b'{"model": "' + SECRET.encode() + b'" "x"}',
        b"null",
        b"[]",
        b'"text"',
        b"7",
    ],
)
def test_what_is_no_json_object(data: bytes) -> None:
    error = refused(data)
    assert error.code == "invalid_json" or error.param == "max_tokens"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": [SECRET]}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": SECRET}, "messages"),
        ({"messages": [SECRET]}, "messages.0"),
        ({"messages": [{"role": SECRET, "content": "x"}]}, "messages.0"),
        ({"messages": [{"content": SECRET}]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {SECRET: 1}}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": SECRET}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "tool", "content": SECRET}]}, "messages.0.tool_call_id"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": SECRET}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": SECRET}, "stream"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"seed": 2**64}, "seed"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": {"a": SECRET}}, "stop"),
        ({"logit_bias": {"5": SECRET}}, "logit_bias"),
        ({"response_format": {"type": SECRET}}, "response_format.type"),
        ({"tools": [{"function": {"name": f"{SECRET} with spaces"}}]}, "tools.0.function.name"),
        ({"tools": [{"function": {"name": "f"}}] * 3}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": SECRET}}, "tool_choice"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"top_logprobs": 99, "logprobs": True}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"reasoning_effort": SECRET}, "reasoning_effort"),
        ({"thinking": {"type": SECRET}}, "thinking.type"),
        ({"thinking": SECRET}, "thinking"),
        ({"messages": [USER] * 6}, "messages"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(change: dict[str, Any], param: str) -> None:
    error = refused(CHAT | change)
    assert error.param is not None
    assert error.param.startswith(param)
    assert error.status == 400


def schemas_in(place: Any) -> Iterator[dict[str, Any]]:
    """All that pydantic made of a model, itself and what is in it."""
    if isinstance(place, dict):
        yield place
    if isinstance(place, dict | list | tuple):
        for part in place.values() if isinstance(place, dict) else place:
            yield from schemas_in(part)


@pytest.mark.parametrize("schema", BODIES, ids=lambda schema: str(schema.__name__))
def test_no_list_is_read_beyond_its_first_fault(schema: type[BaseModel]) -> None:
    """Of megabytes of wrong ones each would become an error with its path."""
    lists = [
        part for part in schemas_in(schema.__pydantic_core_schema__) if part.get("type") == "list"
    ]
    assert lists
    assert all(part.get("fail_fast") for part in lists)


WRONG: dict[str, Any] = {str(number): [] for number in range(100)}


@pytest.mark.parametrize(
    ("schema", "change"),
    [
        (ChatRequest, {"logit_bias": WRONG}),
        (ResponsesRequest, {"metadata": WRONG}),
        (ChatRequest, {"messages": [{"role": "user", "content": [{"type": "text"} | WRONG]}]}),
    ],
)
def test_no_object_has_a_fault_for_each_of_its_fields(
    schema: type[BaseModel], change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate(CHAT | {"input": "a"} | change)
    assert caught.value.error_count() <= 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"logit_bias": {"5": 1, "6": 101}}, "input should be less than or equal to 100."),
        ({"logit_bias": {"5": SECRET}}, "input should be a valid number, unable to parse"),
        ({"logit_bias": [1]}, "input should be an object."),
    ],
)
def test_a_bias_that_does_not_fit(change: dict[str, Any], said: str) -> None:
    error = refused(CHAT | change)
    assert error.param == "logit_bias"
    assert error.message.startswith(f"logit_bias: {said}")


@pytest.mark.parametrize("field", ["model", "messages"])
def test_what_is_missing_is_named(field: str) -> None:
    error = refused({k: v for k, v in CHAT.items() if k != field})
    assert (error.param, error.message) == (field, f"{field} is missing.")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {"a": SECRET}}, "prompt"),
        ({"prompt": [SECRET, 5]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": ["a"] * 5}, "prompt"),
        ({"prompt": ["a", "b"], "n": 3}, "prompt"),
        ({"logprobs": 99}, "logprobs"),
    ],
)
def test_prompts(change: dict[str, Any], param: str) -> None:
    error = refused({"model": "m", "prompt": "p"} | change, CompletionRequest)
    assert (error.param or "").startswith(param)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_that_are_none(number: bytes) -> None:
    given = json.dumps(CHAT).encode()[:-1] + b', "temperature": ' + number + b"}"
    assert refused(given).param in ("temperature", None)


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
        {"messages": [{"role": "assistant", "content": None, "reasoning_content": "r"}]},
        {"messages": [{"role": "user", "content": "x", "made_up": 1}], "made_up": {"deep": [1]}},
        {"user": "me", "metadata": {"a": "b"}, "store": True},
        {"stop": "x", "n": 4, "seed": -1, "temperature": 0, "top_k": -1},
        {"tools": [{"function": {"name": "f"}}], "tool_choice": "required"},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"max_tokens": None, "stream": None, "tools": None},
    ],
)
def test_what_clients_send_is_taken(given: dict[str, Any]) -> None:
    body.check(body.parse(json.dumps(CHAT | given).encode(), ChatRequest), Limits(choices=4))


async def test_nan_inside_a_schema_is_refused(gate: Gate) -> None:
    text = json.dumps(gate.chat(response_format={"type": "json_schema", "json_schema": {}}))
    text = text.replace('"json_schema": {}', '"json_schema": {"name": "x", "schema": {"a": NaN}}')
    answer = await gate.client.post("/v1/chat/completions", content=text)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_private_fields_are_refused_with_their_name(gate: Gate, engine: FakeEngine) -> None:
    answer = await gate.ask(priority=-5)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "priority"
    assert (await gate.ask(user="u", made_up=1)).status_code == 200
    assert not {"user", "made_up"} & set(engine.asked)


async def test_a_body_over_the_cap_announced_or_not(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"body_mib": 1})) as gate:
        reader, writer = await raw(
            gate.port, post(b"")[:-4].replace(b"h: 0", b"h: 2000000") + b"\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 413")
        writer.close()

        async def parts() -> Any:
            for _ in range(3):
                yield b" " * 2**19

        answer = await gate.client.post("/v1/chat/completions", content=parts())
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"
        assert "1 MiB" in answer.json()["error"]["message"]
        fits = gate.chat("x" * 2**19)
        assert (await gate.client.post("/v1/chat/completions", json=fits)).status_code == 200


async def test_a_body_that_does_not_come(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"body_s": 0.2})) as gate:
        reader, writer = await raw(gate.port, post(b"{").replace(b"length: 1", b"length: 9"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 408")
        assert b"request_timeout" in await asyncio.wait_for(reader.readuntil(b"}}"), 10)
        writer.close()
        await gate.at_rest()


async def test_mutations_of_a_good_body_never_break_us(gate: Gate) -> None:
    good = json.dumps(gate.chat(tools=[{"function": {"name": "f"}}], stop=["a"], n=1)).encode()
    odd = [b"", b"null", b"{}", b"[]", b'"', b"\\", b"1e9", b"-1", b"\x00", b"\xff"]
    for number in range(0, len(good), 7):
        data = good[:number] + odd[number % len(odd)] + good[number + 1 :]
        answer = await gate.client.post("/v1/chat/completions", content=data)
        assert answer.status_code in (200, 400, 404), (data, answer.text)
    assert not [line for line in gate.lines if '"defect"' in line]

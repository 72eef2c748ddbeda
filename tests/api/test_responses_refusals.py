"""/v1/responses: what is wrong is told as the OpenAI SDK expects, and nothing breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.support import FakeEngine, Gate, config, gateway

TOOL: Any = {"type": "function", "name": "f", "parameters": {"type": "object"}}


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[AsyncOpenAI]:
    base = f"http://127.0.0.1:{gate.port}/v1"
    async with AsyncOpenAI(base_url=base, api_key="sk-any", max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({"model": "gpt"}, openai.NotFoundError, "model"),
        ({"input": []}, openai.BadRequestError, "input"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"previous_response_id": "r"}, openai.BadRequestError, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "tools.0.type"),
        ({"reasoning": {"effort": "so-so"}}, openai.BadRequestError, "reasoning.effort"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, openai.BadRequestError, "input.0"),
        ({"input": [5]}, openai.BadRequestError, "input.0"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            openai.BadRequestError,
            "input.0.content.0.",
        ),
        ({"input": [{"role": "wizard", "content": "x"}]}, openai.BadRequestError, "input.0.role"),
        ({"input": [{"type": "function_call"}]}, openai.BadRequestError, "input.0."),
        ({"input": "fault:too_long"}, openai.BadRequestError, "input_tokens"),
        ({"input": "fault:html_502"}, openai.InternalServerError, None),
    ],
)
async def test_errors_are_the_sdks_own(
    client: AsyncOpenAI, given: dict[str, Any], kind: type[openai.APIStatusError], param: str | None
) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            await client.responses.create(
                **{"model": "fake", "input": "x", "stream": stream} | given
            )
        assert (caught.value.param or "").startswith(param or "")
        assert caught.value.request_id


async def test_a_refusal_after_a_silence_is_told_in_the_stream(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"keepalive_s": 0.1})) as gate:
        asked = {"model": "fake", "input": "fault:late_refusal wait=0.5", "stream": True}
        answer = await gate.client.post("/v1/responses", json=asked)
        assert answer.text.startswith(": keep-alive\n\n")
        assert "event: response.failed\n" in answer.text
        assert "maximum context length" in answer.text


async def test_mutations_of_a_good_body_never_break_us(gate: Gate) -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}]}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "x"}
    thought: Any = {"type": "reasoning", "summary": [], "content": None}
    wanted = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    asked = {"model": "fake", "input": [said, thought, call, result], "tools": [TOOL]}
    more = {"text": {"format": wanted}, "reasoning": {"effort": "low"}, "tool_choice": "auto"}
    good = json.dumps(asked | more).encode()
    odd = [b"", b"null", b"{}", b"[]", b'"', b"\\", b"1e9", b"NaN", b"\x00", b"\xff"]
    bodies = [good[:at] + odd[at % len(odd)] + good[at + 1 :] for at in range(0, len(good), 5)]
    bodies += [good[:at] + b"null" + good[at + 4 :] for at in range(0, len(good), 11)]
    bodies += [b'{"model":"fake","input":' + b"[" * 100_000, good.replace(b"object", b"\\ud800")]
    for data in bodies:
        answer = await gate.client.post("/v1/responses", content=data)
        assert answer.status_code in (200, 400, 404), (data, answer.text)
    assert not [line for line in gate.lines if '"defect"' in line]


async def test_too_many_items_or_tools(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"messages": 2, "tools": 1})) as gate:
        said = {"role": "user", "content": "x"}
        for more in ({"input": [said] * 3}, {"tools": [TOOL] * 2}):
            asked = {"model": "fake", "input": "x"} | more
            answer = await gate.client.post("/v1/responses", json=asked)
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] in more

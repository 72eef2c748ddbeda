"""/v1/responses over a real socket, as the OpenAI SDK uses it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.support import FakeEngine, Gate, config, gateway

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
FUNCTION = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}
HEALTHY = [
    "response.created",
    "response.in_progress",
    *["response.output_item.added", "response.content_part.added"],
    *["response.reasoning_text.delta"] * 3,
    *["response.reasoning_text.done", "response.content_part.done"],
    "response.output_item.done",
    *["response.output_item.added", "response.content_part.added"],
    *["response.output_text.delta"] * 3,
    *["response.output_text.done", "response.content_part.done"],
    "response.output_item.done",
    "response.completed",
]


class Person(BaseModel):
    name: str
    age: int


def script(finish: str = "stop", **told: Any) -> str:
    return "fault:script\n" + json.dumps(told | {"finish": finish})


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[AsyncOpenAI]:
    base = f"http://127.0.0.1:{gate.port}/v1"
    async with AsyncOpenAI(base_url=base, api_key="sk-any", max_retries=0) as opened:
        yield opened


async def test_a_whole_answer(client: AsyncOpenAI, engine: FakeEngine) -> None:
    told = await client.responses.create(
        model="fake",
        input="hello",
        instructions="be brief",
        max_output_tokens=9,
        metadata={"a": "b"},
        store=True,
    )
    assert told.output_text == " w3 w4 w5"
    assert told.output[0].to_dict()["content"] == [{"type": "reasoning_text", "text": " w0 w1 w2"}]
    assert (told.status, told.metadata, told.to_dict()["store"]) == ("completed", {"a": "b"}, False)
    assert told.usage is not None
    assert told.usage.input_tokens_details.cached_tokens == 8
    asked = engine.asked
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["max_tokens"] == 9
    assert not {"metadata", "store", "input"} & set(asked)


async def test_a_stream_event_by_event(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="fake", input="hello", stream=True)
    told = [event async for event in stream]
    assert [event.type for event in told] == HEALTHY
    assert [event.sequence_number for event in told] == list(range(len(told)))
    last: Any = told[-1]
    assert last.response.output_text == " w3 w4 w5"
    assert last.response.usage.output_tokens_details.reasoning_tokens == 3


@pytest.mark.parametrize(
    "fault", ["", "fault:burst", "fault:dribble", "fault:crlf", "fault:spaced"]
)
async def test_the_sdks_own_stream(client: AsyncOpenAI, fault: str) -> None:
    async with client.responses.stream(model="fake", input=fault or "hello") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds == HEALTHY
    assert final.output_text == " w3 w4 w5"


async def test_no_done_mark_and_event_names(gate: Gate) -> None:
    asked = {"model": "fake", "input": "hello", "stream": True}
    answer = await gate.client.post("/responses", json=asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count("event: response.") == answer.text.count("data: ") == len(HEALTHY)
    assert "[DONE]" not in answer.text


async def test_a_round_trip_of_a_tool(client: AsyncOpenAI, engine: FakeEngine) -> None:
    said = {"role": "assistant", "reasoning": "look it up", "content": None, "tool_calls": [CALL]}
    items: list[Any] = [{"role": "user", "content": script("tool_calls", message=said)}]
    first = await client.responses.create(model="fake", input=items, tools=[TOOL])
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    call: Any = first.output[1]
    assert json.loads(call.arguments) == {"city": "Paris"}
    items += first.output
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = await client.responses.create(model="fake", input=items, tools=[TOOL])
    assert second.output_text == " w3 w4 w5"
    _, turn, result = engine.asked["messages"]
    assert (turn["reasoning_content"], turn["tool_calls"]) == ("look it up", [CALL])
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


async def test_a_stream_of_calls(client: AsyncOpenAI) -> None:
    opening = {"index": 0, "id": "call_1", "type": "function"}
    pieces = [
        opening | {"function": {"name": "get_weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city": '}},
        {"index": 0, "function": {"arguments": '"Zürich"}'}},
        opening | {"index": 1, "id": "call_2", "function": FUNCTION},
    ]
    deltas = [{"tool_calls": [piece]} for piece in pieces]
    text = script("tool_calls", deltas=deltas)
    async with client.responses.stream(model="fake", input=text, tools=[TOOL]) as stream:
        pieces_seen = [
            event.delta
            async for event in stream
            if event.type == "response.function_call_arguments.delta"
        ]
        final: Any = await stream.get_final_response()
    assert pieces_seen == ['{"city": ', '"Zürich"}', '{"city": "Paris"}']
    assert [json.loads(call.arguments) for call in final.output] == [
        {"city": "Zürich"},
        {"city": "Paris"},
    ]
    assert [call.call_id for call in final.output] == ["call_1", "call_2"]


async def test_structured_output(client: AsyncOpenAI, engine: FakeEngine) -> None:
    text = script(message={"role": "assistant", "content": '{"name": "Ada", "age": 36}'})
    told = await client.responses.parse(model="fake", input=text, text_format=Person)
    assert told.output_parsed == Person(name="Ada", age=36)
    wanted = engine.asked["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["name"] == "Person"
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "age"}
    deltas = [{"content": '{"name": "Ada",'}, {"content": ' "age": 36}'}]
    text = script(deltas=deltas)
    async with client.responses.stream(model="fake", input=text, text_format=Person) as stream:
        assert (await stream.get_final_response()).output_parsed == Person(name="Ada", age=36)


async def test_an_answer_cut_short(client: AsyncOpenAI) -> None:
    text = script("length", deltas=[{"reasoning": "so"}, {"content": "It"}])
    stream = await client.responses.create(model="fake", input=text, stream=True)
    last: Any = [event async for event in stream][-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == "It"


@pytest.mark.parametrize("fault", ["error_event", "no_done", "half_event", "close_before_done"])
async def test_a_failure_in_the_middle(client: AsyncOpenAI, fault: str) -> None:
    stream = await client.responses.create(model="fake", input=f"fault:{fault}", stream=True)
    told: list[Any] = [event async for event in stream]
    assert told[-1].type == "response.failed"
    assert told[-1].response.error.code == "server_error"
    assert [event.sequence_number for event in told] == list(range(len(told)))


async def test_an_answer_that_outgrows_its_cap(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"answer_mib": 1})) as gate:
        asked = {"model": "fake", "input": "fault:endless", "stream": True}
        answer = await gate.client.post("/v1/responses", json=asked)
        assert "response.failed" in answer.text
        assert "exceeds 1 MiB" in answer.text
        numbers = re.findall(r'"sequence_number":(\d+)', answer.text)
        assert numbers == [str(number) for number in range(len(numbers))]
        await gate.at_rest()


async def test_nothing_is_stored(client: AsyncOpenAI) -> None:
    told = await client.responses.create(model="fake", input="hello")
    for call in (
        client.responses.retrieve(told.id),
        client.responses.delete(told.id),
        client.responses.cancel(told.id),
    ):
        with pytest.raises(openai.NotFoundError, match="not stored here"):
            await call
    with pytest.raises(openai.NotFoundError, match="not stored here"):
        await client.responses.input_items.list(told.id)


async def test_it_is_documented(gate: Gate) -> None:
    page = (await gate.client.get("/openapi.json")).json()
    operation = page["paths"]["/v1/responses"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ResponsesRequest"}
    assert "/v1/responses/{rest}" not in page["paths"]

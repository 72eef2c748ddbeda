"""OpenAI's newer API, by its own SDK for Python, answered by the real engine."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.asking import CITY, IN_ROME, MARIA, SUM, SUNNY, Person, user
from tests.e2e.server import MODEL

NONE: Any = {"effort": "none"}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": CITY,
    "strict": False,
}


def create(client: OpenAI, asked: Any, **more: Any) -> Any:
    given: Any = client.responses.create  # which overload it is hides in `more`
    return given(model=MODEL, input=asked, temperature=0, **more)


def test_a_response_tells_its_reasoning_first(client: OpenAI) -> None:
    whole = create(client, SUM)
    assert whole.status == "completed"
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert whole.output[0].content[0].text
    assert "42" in whole.output_text
    assert 0 < whole.usage.output_tokens_details.reasoning_tokens < whole.usage.output_tokens


def test_no_effort_is_no_reasoning(client: OpenAI) -> None:
    whole = create(client, SUM, reasoning=NONE, instructions="You are a helpful assistant.")
    assert [item.type for item in whole.output] == ["message"]
    assert "42" in whole.output_text


def test_a_streamed_response_is_the_whole_one(client: OpenAI) -> None:
    events = list(create(client, SUM, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1].response
    told = {"response.reasoning_text.delta": "", "response.output_text.delta": ""}
    for event in events:
        if event.type in told:
            told[event.type] += event.delta
    assert list(told.values()) == [final.output[0].content[0].text, final.output_text]
    assert events[-1].type == "response.completed"
    assert "42" in final.output_text


def test_the_sdks_own_stream_gathers_it(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input=SUM, temperature=0) as stream:
        for _ in stream:
            pass
        assert "42" in stream.get_final_response().output_text


@pytest.mark.parametrize("effort", ["none", "high"])
def test_a_function_call_and_its_output(client: OpenAI, effort: str) -> None:
    given: Any = {"tools": [WEATHER], "reasoning": {"effort": effort}}
    called = create(client, [user(IN_ROME)], **given)
    call = next(item for item in called.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": SUNNY}
    said = create(client, [user(IN_ROME), *called.output, output], **given)
    assert "21" in said.output_text
    thought = [item.type for item in said.output if item.type == "reasoning"]
    assert bool(thought) == (effort != "none")


def test_a_streamed_function_call(client: OpenAI) -> None:
    events = list(create(client, IN_ROME, tools=[WEATHER], reasoning=NONE, stream=True))
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    done = next(e for e in events if e.type == "response.function_call_arguments.done")
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == json.loads(done.arguments) == {"city": "Rome"}


def test_a_response_is_parsed_as_a_pydantic_model(client: OpenAI) -> None:
    answer = client.responses.parse(model=MODEL, input=MARIA, text_format=Person, temperature=0)
    assert answer.output_parsed == Person(name="Maria", age=31)


def test_nothing_is_stored(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, SUM, previous_response_id="resp_1")
    assert "not stored" in caught.value.message

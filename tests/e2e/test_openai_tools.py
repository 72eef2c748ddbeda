"""The OpenAI SDK for Python: tools there and back, strict and streamed; answers held to a schema."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.asking import (
    CITY,
    IN_ROME,
    MARIA,
    OFF,
    ON,
    SUM,
    SUNNY,
    WEATHER,
    Person,
    ask,
    extra,
    user,
)
from tests.e2e.server import MODEL


def called(choice: Any) -> Any:
    """The one call there is."""
    (call,) = choice.message.tool_calls
    return call


@pytest.mark.parametrize("thinking", [ON, OFF])
def test_tools_round_trip(client: OpenAI, thinking: dict[str, Any]) -> None:
    asked = user(IN_ROME)
    first = ask(client, IN_ROME, tools=[WEATHER], extra_body=thinking).choices[0]
    assert first.finish_reason == "tool_calls"
    assert bool(extra(first.message, "reasoning_content")) == (thinking == ON)
    call = called(first)
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Rome"}
    told: Any = {"role": "tool", "tool_call_id": call.id, "content": SUNNY}
    turns: list[Any] = [
        asked,
        first.message,
        told,
    ]  # the message as the SDK holds it, reasoning and all
    second = client.chat.completions.create(
        model=MODEL, messages=turns, tools=[WEATHER], temperature=0, extra_body=thinking
    )
    message = second.choices[0].message
    assert "21" in (message.content or "")
    assert bool(extra(message, "reasoning_content")) == (thinking == ON)


def test_a_streamed_tool_call_comes_in_pieces_after_the_reasoning(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[user(IN_ROME)],
        tools=[WEATHER],
        stream=True,
        temperature=0,
        extra_body=ON,
    )
    order, name, arguments, finish = "", "", "", None
    for chunk in stream:
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        order += "r" if extra(choice.delta, "reasoning_content") else ""
        for call in choice.delta.tool_calls or []:
            assert call.function is not None
            order += "t"
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert "rt" in order and "tr" not in order
    assert order.count("t") > 2
    assert (name, json.loads(arguments), finish) == ("get_weather", {"city": "Rome"}, "tool_calls")


def test_a_named_tool_is_called(client: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = ask(client, "Tell me about Rome.", tools=[WEATHER], tool_choice=choice)
    assert called(answer.choices[0]).function.name == "get_weather"


def test_no_tool_is_called_where_none_may_be(client: OpenAI) -> None:
    message = ask(client, IN_ROME, tools=[WEATHER], tool_choice="none").choices[0].message
    assert not message.tool_calls


def test_a_strict_tool_is_held_to_its_schema(client: OpenAI) -> None:
    """The demo model does not know this tool; the schema alone leads it to the right arguments."""
    tool: Any = openai.pydantic_function_tool(Person)
    assert tool["function"]["strict"] is True
    answer = ask(client, MARIA, tools=[tool], tool_choice="required")
    arguments = called(answer.choices[0]).function.arguments
    assert Person.model_validate_json(arguments) == Person(name="Maria", age=31)


def test_a_strict_tool_that_leaves_something_open_is_refused(client: OpenAI) -> None:
    loose = {name: value for name, value in CITY.items() if name != "additionalProperties"}
    tool = {"name": "get_weather", "strict": True, "parameters": loose}
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, IN_ROME, tools=[{"type": "function", "function": tool}])
    assert "additionalProperties" in caught.value.message


@pytest.mark.parametrize("thinking", [ON, OFF])
def test_an_answer_is_parsed_as_a_pydantic_model(client: OpenAI, thinking: dict[str, Any]) -> None:
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[user(MARIA)],
        response_format=Person,
        temperature=0,
        extra_body=thinking,
    )
    message = answer.choices[0].message
    assert message.parsed == Person(name="Maria", age=31)
    assert bool(extra(message, "reasoning_content")) == (thinking == ON)


def test_a_streamed_answer_is_parsed_too(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[user(MARIA)], response_format=Person, temperature=0, extra_body=OFF
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done"} <= kinds
    assert final.choices[0].message.parsed == Person(name="Maria", age=31)


def test_a_schema_is_kept_where_the_model_would_not(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    answer = ask(client, SUM, response_format=wanted).choices[0].message.content
    assert isinstance(json.loads(answer or "")["total"], int)


def test_json_mode_is_json(client: OpenAI) -> None:
    answer = ask(client, MARIA, response_format={"type": "json_object"}).choices[0].message.content
    assert isinstance(json.loads(answer or ""), dict)

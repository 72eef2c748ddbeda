"""Anthropic's and OpenAI's newer API, by their own SDKs, answered by the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.server import KEY, MODEL, Served

anthropic = pytest.importorskip("anthropic")

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture
def claude(server: Served) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server.root, api_key=KEY, max_retries=0) as client:
        yield client


def ask(claude: Any, text: str, **more: Any) -> Any:
    given = {"model": MODEL, "max_tokens": 400, "messages": [{"role": "user", "content": text}]}
    return claude.messages.create(**(given | more))


def test_a_message_with_and_without_thinking(claude: Any) -> None:
    thought = ask(claude, "What is 17 + 25?", thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert thought.content[0].signature
    assert "42" in thought.content[1].text
    assert thought.stop_reason == "end_turn"
    plain = ask(claude, "What is the capital of France?", thinking={"type": "disabled"})
    assert [block.type for block in plain.content] == ["text"]
    assert "Paris" in plain.content[0].text
    assert plain.usage.input_tokens > 0
    assert plain.usage.output_tokens > 0


def test_a_streamed_message_is_the_whole_one(claude: Any) -> None:
    given = {"model": MODEL, "max_tokens": 400, "thinking": {"type": "disabled"}}
    messages = [{"role": "user", "content": "Count from 3 to 9"}]
    with claude.messages.stream(messages=messages, **given) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text
    assert "9" in text
    assert final.usage.output_tokens > 5


def test_a_tools_answer_is_used(claude: Any) -> None:
    question = {"role": "user", "content": "What is the weather in Rome?"}
    off = {"type": "disabled"}
    called = ask(claude, "", messages=[question], tools=[WEATHER], thinking=off)
    assert called.stop_reason == "tool_use"
    use = next(block for block in called.content if block.type == "tool_use")
    assert (use.name, use.input) == ("get_weather", {"city": "Rome"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny, 21 degrees"}
    turns = [
        question,
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    said = ask(claude, "", messages=turns, tools=[WEATHER], thinking=off)
    assert "sunny" in said.content[0].text


def test_tokens_are_counted(claude: Any) -> None:
    messages = [{"role": "user", "content": "What is 17 + 25?"}]
    assert claude.messages.count_tokens(model=MODEL, messages=messages).input_tokens > 5


def test_a_wrong_request_is_told_in_its_shape(claude: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as raised:
        ask(claude, "Hello", model="no-such-model")
    assert raised.value.body["type"] == "error"
    with pytest.raises(anthropic.BadRequestError):
        ask(claude, "Hello", messages=[])


def test_a_response_and_its_stream(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": "What is 17 + 25?"}
    whole = client.responses.create(**asked)
    assert whole.status == "completed"
    assert "42" in whole.output_text
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    events = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert "42" in events[-1].response.output_text


def test_a_response_calls_a_tool(client: openai.OpenAI) -> None:
    tool: Any = {
        "type": "function",
        "name": "get_weather",
        "description": WEATHER["description"],
        "parameters": WEATHER["input_schema"],
        "strict": False,
    }
    turns: Any = [{"role": "user", "content": "What is the weather in Rome?"}]
    none: Any = {"effort": "none"}
    called = client.responses.create(model=MODEL, input=turns, tools=[tool], reasoning=none)
    call = next(item for item in called.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
    turns = [
        *turns,
        *called.output,
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"},
    ]
    said = client.responses.create(model=MODEL, input=turns, tools=[tool], reasoning=none)
    assert "sunny" in said.output_text

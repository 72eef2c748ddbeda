"""Anthropic's API, by its own SDK for Python, answered by the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.e2e.asking import CITY, COUNT, IN_ROME, MARIA, SUM, SUNNY, Person, user
from tests.e2e.server import KEY, MODEL, Served

ON = {"type": "enabled", "budget_tokens": 1024}
OFF = {"type": "disabled"}
WEATHER = {"name": "get_weather", "description": "Get the weather in a city", "input_schema": CITY}
GREEDY = {"temperature": 0}  # which the SDK no longer has by name


@pytest.fixture
def claude(server: Served) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server.root, api_key=KEY, max_retries=0) as client:
        yield client


def asked(*turns: Any, **more: Any) -> dict[str, Any]:
    given = {"model": MODEL, "max_tokens": 400, "thinking": OFF, "extra_body": GREEDY}
    return (
        given
        | {"messages": [user(turn) if isinstance(turn, str) else turn for turn in turns]}
        | more
    )


def kinds(message: Any) -> list[str]:
    return [block.type for block in message.content]


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message_with_and_without_thinking(claude: Any) -> None:
    thought = claude.messages.create(**asked(SUM, thinking=ON))
    assert kinds(thought) == ["thinking", "text"]
    assert thought.content[0].thinking and thought.content[0].signature
    assert "42" in said(thought)
    assert thought.stop_reason == "end_turn"
    plain = claude.messages.create(**asked("What is the capital of France?"))
    assert kinds(plain) == ["text"]
    assert "Paris" in said(plain)
    assert plain.usage.input_tokens > 0
    assert plain.usage.output_tokens > 0


def test_a_streamed_message_is_the_whole_one(claude: Any) -> None:
    with claude.messages.stream(**asked(COUNT)) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == said(final) == said(claude.messages.create(**asked(COUNT)))
    assert "9" in text
    assert final.usage.output_tokens > 5


def test_streamed_thinking_is_signed_before_the_text(claude: Any) -> None:
    with claude.messages.stream(**asked(SUM, thinking=ON)) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_message()
    order = [kind for kind in dict.fromkeys(seen) if kind in ("thinking", "signature", "text")]
    assert order == ["thinking", "signature", "text"]
    assert final.content[0].thinking and final.content[0].signature
    assert "42" in said(final)


@pytest.mark.parametrize("thinking", [ON, OFF])
def test_a_tools_answer_is_used(claude: Any, thinking: dict[str, Any]) -> None:
    more = {"tools": [WEATHER], "thinking": thinking}
    called = claude.messages.create(**asked(IN_ROME, **more))
    assert called.stop_reason == "tool_use"
    assert kinds(called) == (["thinking", "tool_use"] if thinking == ON else ["tool_use"])
    use = called.content[-1]
    assert (use.name, use.input) == ("get_weather", {"city": "Rome"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": SUNNY}
    turns = [
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    answer = claude.messages.create(**asked(IN_ROME, *turns, **more))
    assert "21" in said(answer)
    assert bool("thinking" in kinds(answer)) == (thinking == ON)


def test_a_streamed_tool_use(claude: Any) -> None:
    with claude.messages.stream(**asked(IN_ROME, tools=[WEATHER])) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert (final.stop_reason, final.content[-1].input) == ("tool_use", {"city": "Rome"})


def test_thinking_comes_back_with_its_signature(claude: Any) -> None:
    """As every client of Anthropic's sends the turns before: whole blocks, thinking among them."""
    first = claude.messages.create(**asked("My name is Maria.", thinking=ON))
    assert kinds(first) == ["thinking", "text"]
    turns = [{"role": "assistant", "content": first.content}, user("What is my name?")]
    second = claude.messages.create(**asked("My name is Maria.", *turns, thinking=ON))
    assert kinds(second) == ["thinking", "text"]
    assert "Maria" in said(second)


def test_a_begun_message_is_gone_on_with(claude: Any) -> None:
    given = asked(COUNT, {"role": "assistant", "content": "3, 4, 5,"})
    assert said(claude.messages.create(**given)).strip(" ,") == "6, 7, 8, 9"
    with claude.messages.stream(**given) as stream:
        assert "".join(stream.text_stream).strip(" ,") == "6, 7, 8, 9"


def test_tokens_are_counted_as_they_are_then_used(claude: Any) -> None:
    given = {"model": MODEL, "messages": [user(IN_ROME)], "system": "Be kind.", "tools": [WEATHER]}
    counted = claude.messages.count_tokens(**given)
    answered = claude.messages.create(**given, max_tokens=5)
    assert counted.input_tokens == answered.usage.input_tokens > 20


def test_a_message_is_parsed_as_a_pydantic_model(claude: Any) -> None:
    answer = claude.messages.parse(**asked(MARIA, output_format=Person))
    assert answer.parsed_output == Person(name="Maria", age=31)


def test_claudes_names_and_deepseeks_base_url(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DeepSeek's guide sets up Claude Code: /anthropic, a bearer token, a model named claude."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    base = f"{server.root}/anthropic"
    with anthropic.Anthropic(base_url=base, auth_token=KEY, max_retries=0) as client:
        given = asked(SUM, model="claude-opus-5-0", thinking=ON)
        answer: Any = client.messages.create(**given)
    assert answer.model == "claude-opus-5-0"
    assert "42" in said(answer)


def test_a_wrong_request_is_told_in_its_shape(claude: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as raised:
        claude.messages.create(**asked("Hello", model="no-such-model"))
    assert raised.value.body["type"] == "error"  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(**asked())

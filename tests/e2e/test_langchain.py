"""LangChain's two clients: ChatDeepSeek, which tells the reasoning, and ChatOpenAI, which drops it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_deepseek import ChatDeepSeek
from langchain_openai import ChatOpenAI

from tests.e2e.asking import IN_ROME, MARIA, SUM, SUNNY, Person
from tests.e2e.server import KEY, MODEL, Served

Make = Callable[..., BaseChatModel]


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city"""
    return SUNNY


@pytest.fixture(autouse=True)
def _tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain sends what it sees to its maker where the environment says so."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


GIVEN: Any = {"api_key": KEY, "max_retries": 0, "temperature": 0}


@pytest.fixture
def deepseek(server: Served) -> Make:
    def make(model: str = "deepseek-reasoner", at: str = "/v1", **more: Any) -> BaseChatModel:
        return ChatDeepSeek(model=model, **GIVEN | {"api_base": server.root + at}, **more)

    return make


@pytest.fixture
def openai(server: Served) -> Make:
    def make(model: str = MODEL, **more: Any) -> BaseChatModel:
        return ChatOpenAI(model=model, base_url=server.base, **GIVEN, **more)

    return make


@pytest.fixture(params=["deepseek", "openai"])
def either(request: pytest.FixtureRequest) -> Make:
    make: Make = request.getfixturevalue(request.param)
    return make


def reasoning(message: BaseMessage) -> str:
    """Where ChatDeepSeek puts it."""
    told: str = message.additional_kwargs.get("reasoning_content", "")
    return told


def test_chat_deepseek_tells_the_reasoning(deepseek: Make) -> None:
    answer = deepseek().invoke(SUM)
    assert "42" in answer.text
    assert reasoning(answer)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0
    assert "reasoning_content" not in deepseek("deepseek-chat").invoke(SUM).additional_kwargs


def test_chat_deepseek_streams_the_reasoning(deepseek: Make) -> None:
    model = deepseek()
    chunks = list(model.stream(SUM))
    order = "".join("r" * bool(reasoning(c)) + "c" * bool(c.content) for c in chunks)
    assert "rc" in order and "cr" not in order
    whole = reduce(add, chunks)
    asked = model.invoke(SUM)
    assert (whole.content, reasoning(whole)) == (asked.content, reasoning(asked))


def test_chat_openai_answers_without_the_reasoning(openai: Make) -> None:
    model = openai()
    answer = model.invoke(SUM)
    assert "42" in answer.text
    assert not reasoning(answer)
    assert "".join(chunk.text for chunk in model.stream(SUM)) == answer.text


def test_chat_openai_tells_the_reasoning_of_responses(openai: Make) -> None:
    answer = openai(use_responses_api=True).invoke(SUM)
    assert [block["type"] for block in answer.content_blocks] == ["reasoning", "text"]
    assert "42" in answer.text


def test_usage_at_the_end_of_a_stream(either: Make) -> None:
    whole = reduce(add, either(stream_usage=True).stream(SUM))
    assert "42" in whole.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_token_details"]["reasoning"] > 0


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
def test_a_tool_and_its_message(either: Make, model: str) -> None:
    bound = either(model).bind_tools([get_weather])
    called = bound.invoke([HumanMessage(IN_ROME)])
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Rome"})
    told = get_weather.invoke(call)
    answer = bound.invoke([HumanMessage(IN_ROME), called, told])
    assert "21" in answer.text
    assert not answer.tool_calls


def test_a_streamed_tool_call(either: Make) -> None:
    chunks = either().bind_tools([get_weather]).stream(IN_ROME)
    (call,) = reduce(add, chunks).tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Rome"})


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
def test_structured_output_of_chat_deepseek(deepseek: Make, model: str) -> None:
    """By a forced call of a tool: strict, since the demo model has never seen this one."""
    by_tool = deepseek(model, "/beta").with_structured_output(Person, strict=True)
    assert by_tool.invoke(MARIA) == Person(name="Maria", age=31)
    by_mode = deepseek(model).with_structured_output(Person, method="json_mode")
    assert by_mode.invoke(MARIA) == Person(name="Maria", age=31)


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
def test_structured_output_of_chat_openai(openai: Make, model: str) -> None:
    assert openai(model).with_structured_output(Person).invoke(MARIA) == Person(
        name="Maria", age=31
    )

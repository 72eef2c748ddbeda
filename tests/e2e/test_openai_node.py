"""The OpenAI SDK for Node, installed from npm, against the same server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Node
from tests.e2e.server import MODEL, Served
from tests.e2e.waiting import until


def test_the_node_sdk_is_served(server: Served, node: Node) -> None:
    seen = node("client.mjs")
    assert "42" in seen["content"]
    assert seen["reasoning"]
    assert seen["hitAndMiss"] == seen["prompt"] > 0
    assert "42" in seen["streamed"]
    assert seen["reasoningInStream"] is False
    assert seen["usage"]["completion_tokens"] > 0
    assert {MODEL, "deepseek-chat"} <= set(seen["models"])
    assert seen["error"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}
    until(lambda: server.running() == 0, "the stream that was left still runs")


@pytest.fixture(scope="module")
def seen(node: Node) -> dict[str, Any]:
    return node("openai_tools.mjs")


def test_tools_are_run_by_the_sdk(seen: dict[str, Any]) -> None:
    assert seen["called"] == {"city": "Rome"}
    assert "21" in seen["told"]
    assert all(seen["reasoned"])


def test_an_answer_is_parsed_by_zod(seen: dict[str, Any]) -> None:
    assert seen["person"] == {"name": "Maria", "age": 31}
    assert seen["personReasoning"]


def test_a_begun_answer_is_gone_on_with(seen: dict[str, Any]) -> None:
    assert seen["begun"].strip(" ,") == "6, 7, 8, 9"


def test_a_response_and_its_stream(seen: dict[str, Any]) -> None:
    items, text = seen["response"]
    assert items == ["reasoning", "message"]
    assert "42" in text
    assert seen["deltas"] == {"reasoning": seen["responseReasoning"], "output": text}
    assert seen["last"] == "response.completed"


def test_a_responses_function_call_and_its_output(seen: dict[str, Any]) -> None:
    assert seen["functionCall"] == ["get_weather", {"city": "Rome"}]
    assert "21" in seen["functionTold"]

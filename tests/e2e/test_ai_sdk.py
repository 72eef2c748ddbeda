"""Vercel's AI SDK and its @ai-sdk/deepseek, installed from npm, against the same server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Node


@pytest.fixture(scope="module")
def seen(node: Node) -> dict[str, Any]:
    return node("ai_sdk.mjs")


def test_generate_text_tells_the_reasoning(seen: dict[str, Any]) -> None:
    assert "42" in seen["whole"]["text"]
    assert seen["whole"]["reasoning"]
    assert seen["reasoningTokens"] > 0


def test_generate_text_without_thinking(seen: dict[str, Any]) -> None:
    assert seen["plain"] == {"text": seen["whole"]["text"], "reasoning": None}


def test_the_providers_cache_counts_are_filled(seen: dict[str, Any]) -> None:
    cache = seen["cache"]
    assert cache["promptCacheHitTokens"] + cache["promptCacheMissTokens"] == seen["input"] > 0


def test_stream_text_tells_the_reasoning_first(seen: dict[str, Any]) -> None:
    assert seen["order"] == ["reasoning", "text"]
    assert seen["streamed"] == seen["whole"]


@pytest.mark.parametrize("way", ["tools", "streamedTools"])
def test_a_tool_is_run_between_two_steps(seen: dict[str, Any], way: str) -> None:
    call, answer = seen[way]["steps"]
    assert (call["calls"], call["finish"]) == ([["get_weather", {"city": "Rome"}]], "tool-calls")
    assert (answer["calls"], answer["finish"]) == ([], "stop")
    assert call["reasoning"] and answer["reasoning"]
    assert "21" in seen[way]["text"]


def test_an_object_by_its_schema(seen: dict[str, Any]) -> None:
    assert seen["person"] == {"name": "Maria", "age": 31}


def test_an_error_is_told_in_our_words(seen: dict[str, Any]) -> None:
    assert (seen["error"]["name"], seen["error"]["status"]) == ("AI_APICallError", 404)
    assert "no model 'nobody'" in seen["error"]["message"]

"""LlamaIndex's clients against a running server: prints one JSON object of what they saw."""

from __future__ import annotations

import json
import sys
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.deepseek import DeepSeek
from llama_index.llms.openai_like import OpenAILike

ROOT, KEY = sys.argv[1:]
SUM = [ChatMessage(role="user", content="What is 17 + 25?")]
IN_ROME = ChatMessage(role="user", content="What is the weather in Rome?")
GIVEN: dict[str, Any] = {"api_key": KEY, "temperature": 0, "max_retries": 0}


def get_weather(city: str) -> str:
    """Get the weather in a city"""
    return "sunny, 21 degrees"


def blocks(answer: Any) -> list[dict[str, Any]]:
    return [block.model_dump() for block in answer.message.blocks]


def streamed(model: Any) -> dict[str, str]:
    chunks = list(model.stream_chat(SUM))
    thinking = "".join(chunk.additional_kwargs.get("thinking_delta", "") for chunk in chunks)
    return {"thinking": thinking, "text": "".join(chunk.delta or "" for chunk in chunks)}


def tools(model: Any) -> dict[str, Any]:
    given = [FunctionTool.from_defaults(get_weather)]
    called = model.chat_with_tools(given, chat_history=[IN_ROME])
    (call,) = model.get_tool_calls_from_response(called)
    result = get_weather(**call.tool_kwargs)
    told = ChatMessage(
        role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id}
    )
    answer = model.chat_with_tools(given, chat_history=[IN_ROME, called.message, told])
    return {"call": [call.tool_name, call.tool_kwargs], "told": answer.message.content}


def main() -> None:
    chat = DeepSeek(model="deepseek-chat", api_base=ROOT, **GIVEN)
    reasoner = DeepSeek(model="deepseek-reasoner", api_base=ROOT, **GIVEN)
    like = OpenAILike(model="deepseek-demo", api_base=f"{ROOT}/v1", is_chat_model=True, **GIVEN)
    seen = {
        "chat": {model.model: blocks(model.chat(SUM)) for model in (chat, reasoner)},
        "stream": streamed(reasoner),
        "like": blocks(like.chat(SUM)),
    }
    print(json.dumps(seen | tools(chat)))


main()

"""A good request of each kind that uses all there is: where a fault can hide."""

from __future__ import annotations

from typing import Any

from seekserve.api.anthropic_schemas import CountTokensRequest, MessagesRequest
from seekserve.api.embeddings import EmbeddingsRequest
from seekserve.api.responses import ResponsesRequest
from seekserve.api.schemas import Body, ChatRequest, CompletionRequest

Json = dict[str, Any]
_SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"b": {"anyOf": [{"type": "null"}]}},
}
_FUNCTION: Json = {"name": "f", "description": "d", "parameters": _SCHEMA, "strict": True}
_SAMPLING: Json = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 5,
    "temperature": 0.5,
    "logit_bias": {"5": 1.0},
    "stop": ["x", "y"],
    "user_id": "u",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
    "repetition_detection": {"a": 1},
}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_CHAT = _SAMPLING | {
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "a"}], "name": "n"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [_CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "d"}], "tool_call_id": "c"},
        {"role": "assistant", "content": "e", "prefix": True},
    ],
    "tools": [{"type": "function", "function": _FUNCTION}],
    "tool_choice": "none",
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "reasoning_effort": "high",
    "logprobs": True,
    "top_logprobs": 3,
    "chat_template_kwargs": {"thinking": True},
}
_RESPONSES = {
    "model": "m",
    "instructions": "i",
    "input": [
        {"role": "developer", "content": "a"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "r"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "d"},
    ],
    "reasoning": {"effort": "high"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA}},
    "tools": [{"type": "function", **_FUNCTION}],
    "tool_choice": {"type": "function", "name": "f"},
    "metadata": {"a": "b"},
    "thinking": {"type": "disabled"},
}
_MESSAGES = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "a"}],
    "messages": [
        {"role": "user", "content": "b"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "r", "signature": "s"},
                {"type": "redacted_thinking", "data": "z"},
                {"type": "text", "text": "t"},
                {"type": "server_tool_use", "id": "w", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "w", "content": [{"a": 1}]},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": ["b"]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": [{"type": "text", "text": "d"}],
                },
                {"type": "text", "text": "e"},
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": _SCHEMA, "strict": True}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": _SCHEMA}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
}
RICH: dict[type[Body], Json] = {
    ChatRequest: _CHAT,
    CompletionRequest: _SAMPLING | {"prompt": "a", "suffix": "b", "logprobs": 3},
    ResponsesRequest: _RESPONSES,
    MessagesRequest: _MESSAGES,
    CountTokensRequest: _MESSAGES,
    EmbeddingsRequest: {"model": "m", "input": [[1, 2]], "encoding_format": "float"},
}

"""The shapes of /v1/responses: the response object, its output items, its usage. Pure.

As the `openai` SDK 3.54 declares them (types/responses/response.py and response_*_item.py); the
fields a stateless server has no use for are told with OpenAI's own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.dialect.finish import CUT, GAVE_UP

FAILED = "The engine gave the answer up before it was done. Send the request again."
_ECHOED = ("instructions", "max_output_tokens", "prompt_cache_key", "safety_identifier", "user")
_REASONS = dict.fromkeys(CUT, "max_output_tokens") | {"content_filter": "content_filter"}


def told(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a response repeats of its request: as given, or the default that was applied."""
    reasoning, text = given.get("reasoning") or {}, given.get("text") or {}
    return {name: given.get(name) for name in _ECHOED} | {
        "background": False,
        "metadata": given.get("metadata") or {},
        "model": given["model"],
        "parallel_tool_calls": given.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": wanted.get("temperature"),
        "text": {"format": text.get("format") or {"type": "text"}},
        "tool_choice": given.get("tool_choice") or "auto",
        "tools": given.get("tools") or [],
        "top_logprobs": 0,
        "top_p": wanted.get("top_p"),
        "truncation": "disabled",
    }


def head(answer: Mapping[str, Any], echo: Mapping[str, Any]) -> dict[str, Any]:
    """A response that has just begun, without its `output`, from any of the engine's answers."""
    return {
        "id": f"resp_{stem(answer)}",
        "object": "response",
        "created_at": answer.get("created") or 0,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        **echo,
        "usage": None,
    }


def stem(answer: Mapping[str, Any]) -> str:
    """The part that all ids of one response share."""
    return str(answer.get("id") or "none").removeprefix("chatcmpl-").replace("-", "")


def ending(finish: str) -> dict[str, Any]:
    """How a response ended, by the engine's finish reason."""
    if finish in GAVE_UP:
        return failure(FAILED)
    if reason := _REASONS.get(finish):
        return {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return {"status": "completed"}


def failure(message: str) -> dict[str, Any]:
    return {"status": "failed", "error": {"code": "server_error", "message": message}}


def usage(counts: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's usage block in the words of this API; what the engine does not count is 0."""
    made, given = counts.get("completion_tokens") or 0, counts.get("prompt_tokens") or 0
    cached = (counts.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (counts.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": given + made,
    }


# Items. Each ends with the text that fills it, so that a stream can put that in as raw bytes.


def part(kind: str, text: str = "") -> dict[str, Any]:
    noted: dict[str, Any] = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
    return {"type": kind, **noted, "text": text}


def reasoning(name: str, status: str, text: str | None = None) -> dict[str, Any]:
    content = [] if text is None else [part("reasoning_text", text)]
    return {"id": name, "type": "reasoning", "status": status, "summary": [], "content": content}


def message(name: str, status: str, text: str | None = None) -> dict[str, Any]:
    content = [] if text is None else [part("output_text", text)]
    shape = {"id": name, "type": "message", "status": status, "role": "assistant"}
    return shape | {"content": content}


def call(name: str, status: str, call_id: str, tool: str, arguments: str = "") -> dict[str, Any]:
    shape = {"id": name, "type": "function_call", "status": status, "call_id": call_id}
    return shape | {"name": tool, "arguments": arguments}

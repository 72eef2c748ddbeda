"""Anthropic's words for what an engine answers: whole messages, stop reasons, usage, errors. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from seekserve.dialect.finish import CUT, GAVE_UP
from seekserve.dialect.usage import usage as counted
from seekserve.errors import EngineBroke, Refusal

# https://docs.anthropic.com/en/api/errors; what is not listed is ours (>= 500) or the client's.
_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_STOPS |= dict.fromkeys(CUT, "max_tokens")


def shape(path: str) -> Callable[[Refusal, str], bytes] | None:
    """How refusals are told to the clients of this path, where that is Anthropic's way."""
    ours = path.startswith(("/anthropic/", "/v1/messages/")) or path == "/v1/messages"
    return envelope if ours else None


def envelope(refusal: Refusal, request_id: str) -> bytes:
    """A refusal in Anthropic's error shape, as JSON bytes."""
    told = failure(refusal)
    if request_id:
        told["request_id"] = request_id
    return json.dumps(told, ensure_ascii=False).encode(errors="replace")


def failure(refusal: Refusal) -> dict[str, Any]:
    common = "api_error" if refusal.status >= 500 else "invalid_request_error"
    kind = _ERRORS.get(refusal.status, common)
    return {"type": "error", "error": {"type": kind, "message": refusal.message}}


def message(told: dict[str, Any], model: str) -> dict[str, Any]:
    """A whole chat completion -> a message. Raises EngineBroke when there is none in it."""
    choice: dict[str, Any] = next(iter(told.get("choices") or ()), {})
    said = choice.get("message")
    if not isinstance(said, dict):
        raise EngineBroke("The engine's answer holds no message.")
    id_ = message_id(told.get("id"))
    blocks = content(said, id_)
    called = any(block["type"] == "tool_use" for block in blocks)
    reason, sequence = stopped(choice.get("finish_reason"), choice.get("stop_reason"), called)
    told_usage = usage(told.get("usage") or {})
    return opening(id_, model) | {
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": told_usage,
    }


def opening(id_: str, model: str) -> dict[str, Any]:
    """A message of which nothing is known yet. Its counts come at the end: engines tell them there."""
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage({}),
    }


def content(said: dict[str, Any], id_: str) -> list[dict[str, Any]]:
    """The engine's assistant message as blocks: thinking, text, tool calls."""
    blocks: list[dict[str, Any]] = []
    if thought := said.get("reasoning") or said.get("reasoning_content"):
        blocks.append({"type": "thinking", "thinking": thought, "signature": signature(id_, 0)})
    if text := said.get("content"):
        blocks.append({"type": "text", "text": text})
    return blocks + [_tool_use(call) for call in said.get("tool_calls") or ()]


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": _input(function.get("arguments") or ""),
    }


def _input(arguments: Any) -> Any:
    """A call's arguments as the object Anthropic has there.

    What is no JSON object, such as a call cut by max_tokens or one with NaN in it, is kept under the name
    that Anthropic recommends for handing such input back.
    """
    try:
        parsed = json.loads(arguments) if arguments else {}
        json.dumps(parsed, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        parsed = arguments
    return parsed if isinstance(parsed, dict) else {"INVALID_JSON": arguments}


def stopped(finish: Any, stop: Any, called: bool) -> tuple[str, str | None]:
    """(stop_reason, stop_sequence). Raises EngineBroke when the engine gave up on the answer.

    vLLM tells the matched stop string, or the id of a stop token, in `stop_reason`. A stop string wins
    over a tool call: it may have cut the call short.
    """
    finish = finish if isinstance(finish, str) else ""
    if finish in GAVE_UP:
        raise EngineBroke(
            "The engine gave up on this answer before its end.", code="engine_aborted"
        )
    if finish in ("stop", "tool_calls") and isinstance(stop, str):
        return "stop_sequence", stop
    if finish == "stop" and called:  # vLLM says stop for a call that tool_choice forced
        return "tool_use", None
    return _STOPS.get(finish, "end_turn"), None


def usage(told: dict[str, Any]) -> dict[str, Any]:
    """vLLM's usage block -> Anthropic's.

    Anthropic's input_tokens leaves out what came from the cache:
    the whole prompt = input_tokens + cache_read_input_tokens + cache_creation_input_tokens.
    Writing to the engine's cache is free and not told, hence always 0.
    """
    counts = counted(told)
    thought = counts["completion_tokens_details"]["reasoning_tokens"]
    return {
        "input_tokens": max(0, counts["prompt_cache_miss_tokens"]),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts["prompt_cache_hit_tokens"],
        "output_tokens": counts["completion_tokens"],
        "output_tokens_details": {"thinking_tokens": thought},
    }


def message_id(engine_id: Any) -> str:
    return f"msg_{str(engine_id or '').removeprefix('chatcmpl-')}"


def signature(id_: str, index: int) -> str:
    """An opaque string for a thinking block. It names the block, and is accepted whatever comes back.

    Not a hash of the thinking: a stream's deltas pass by without being looked at.
    """
    digest = hashlib.sha256(f"{id_}:{index}".encode(errors="replace")).digest()
    return base64.b64encode(digest).decode()

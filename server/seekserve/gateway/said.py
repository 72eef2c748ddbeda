"""What an engine's whole answers and refusals come to: counts, finish, errors in our words. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from seekserve.errors import BadRequest, EngineBroke, EngineFull, NotFound, Refusal
from seekserve.gateway.events import well_formed

ODD = (TypeError, AttributeError, ValueError, KeyError, IndexError, RecursionError)
"""What translating an answer of an unheard-of shape comes to."""
# Where a validator quotes the request: from there on it is the prompt, which is not repeated.
_INPUT = re.compile(r",?\s*(?:input_value=|'input': |\"input\": )")


def counted(usage: Any) -> dict[str, int]:
    """The four counts of a request from the engine's usage block, whatever of it is there."""
    if not isinstance(usage, dict):
        return {}
    prompt, made = (
        details if isinstance(details := usage.get(f"{part}_tokens_details"), dict) else {}
        for part in ("prompt", "completion")
    )
    counts = {
        "prompt": usage.get("prompt_tokens"),
        "cached": prompt.get("cached_tokens"),
        "reasoning": made.get("reasoning_tokens"),
        "completion": usage.get("completion_tokens"),
    }
    return {kind: count for kind, count in counts.items() if isinstance(count, int)}


def finish(told: dict[str, Any]) -> str:
    choices = told.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return str(first.get("finish_reason") or "") if isinstance(first, dict) else ""


def answer_of(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError as error:
        raise EngineBroke("The engine's answer is not JSON.") from error
    if not well_formed(told):
        raise EngineBroke("The engine's answer is not in the shape that was asked for.")
    answer: dict[str, Any] = told
    return answer


def engine_said(status: int, body: bytes, path: str) -> Refusal:
    """The engine's refusal in our words' shape; its own words are kept, cut to a few lines."""
    try:
        error = json.loads(body)["error"]
        words = _INPUT.split(str(error["message"] if isinstance(error, dict) else error))[0][:600]
        param = error.get("param") if isinstance(error, dict) else None
        param = param if isinstance(param, str) else None
    except (ValueError, KeyError, TypeError):
        words, param = f"status {status} from {path} without an explanation", None
    if status in (400, 413, 422):
        return _bad_request(words, param)
    if status == 404 and param is None and words.startswith("status 404"):
        return NotFound(f"The engine has no {path}: this model cannot do that.", code="unsupported")
    if status == 404:
        return NotFound(words, param=param)
    if status in (429, 503):
        return EngineFull(f"The engine is full: {words}", retry_after_s=5)
    return EngineBroke(f"The engine failed: {words}")


def _bad_request(words: str, param: str | None) -> BadRequest:
    if "maximum context length" in words or "max_model_len" in words:
        return BadRequest(
            f"{words} Shorten the prompt or ask for fewer tokens.",
            param=param or "messages",
            code="context_length_exceeded",
        )
    return BadRequest(words, param=param)


def odd(error: Exception) -> EngineBroke:
    """An answer that is JSON, and of a shape nobody expects."""
    return EngineBroke(f"The engine's answer could not be understood ({type(error).__name__}).")


def kind_of(kind: bytes) -> str:
    return kind.decode("latin-1").split(";")[0] or "no content type"

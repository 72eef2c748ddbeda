"""Text completions: OpenAI's words <-> vLLM's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.config import Defaults
from seekserve.dialect.fields import COMPLETIONS, passed, refuse_private
from seekserve.dialect.stream import Events
from seekserve.dialect.usage import usage

_CHOICE = ("index", "text", "logprobs", "finish_reason")


class Completions:
    """The accent of /completions. Its events are OpenAI's already."""

    path = "/v1/completions"

    def voice(self, show_usage: bool) -> Events:
        return Events(lambda data: data, parsed, show_usage)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": answer.get("id"),
            "object": "text_completion",
            "created": answer.get("created"),
            "model": answer.get("model"),
            "system_fingerprint": answer.get("system_fingerprint"),
            "choices": [
                {key: choice.get(key) for key in _CHOICE} for choice in answer.get("choices") or ()
            ],
            "usage": usage(answer.get("usage") or {}),
        }


def parsed(event: dict[str, Any]) -> dict[str, Any]:
    """One event of a stream, the usage in DeepSeek's words."""
    return event | {"usage": usage(event["usage"])} if event.get("usage") else event


def to_engine(
    given: Mapping[str, Any], defaults: Defaults, max_model_len: int | None
) -> dict[str, Any]:
    """A checked client request -> the engine's request. Raises BadRequest for what is not open."""
    refuse_private(given)
    asked = passed(given, COMPLETIONS)
    asked |= {"model": given["model"], "stream": bool(given.get("stream"))}
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}
    asked.setdefault("temperature", defaults.temperature)
    asked.setdefault("top_p", defaults.top_p)
    most = max_model_len or 1 << 62
    asked["max_tokens"] = min(asked.get("max_tokens", defaults.max_tokens), most)
    return asked

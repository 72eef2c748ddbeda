"""Text completions: OpenAI's words <-> vLLM's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.dialect import bounds, finish
from seekserve.dialect.fields import COMPLETIONS, passed, refuse_private
from seekserve.dialect.stream import Events, UsageLast
from seekserve.dialect.terms import Terms
from seekserve.dialect.usage import usage
from seekserve.errors import BadRequest
from seekserve.manner import Manner

FIM_BEGIN, FIM_HOLE, FIM_END = "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"
"""DeepSeek's markers, in every one of its tokenizers since Coder V1."""


class Completions:
    """The accent of /completions. Its events are OpenAI's already."""

    path = "/v1/completions"

    def __init__(self, usage_last: bool = False) -> None:
        self._events = UsageLast if usage_last else Events

    def voice(self, show_usage: bool) -> Events:
        return self._events(finish.in_bytes, parsed, show_usage)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": answer.get("id"),
            "object": "text_completion",
            "created": answer.get("created"),
            "model": answer.get("model"),
            "system_fingerprint": answer.get("system_fingerprint"),
            "choices": [_choice(choice) for choice in answer.get("choices") or ()],
            "usage": usage(answer.get("usage") or {}),
        }


def _ended(choice: dict[str, Any]) -> dict[str, Any]:
    return choice | {"finish_reason": finish.finish(choice.get("finish_reason"))}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    return _ended({key: choice.get(key) for key in ("index", "text", "logprobs", "finish_reason")})


def parsed(event: dict[str, Any]) -> dict[str, Any]:
    """One event of a stream, the usage in DeepSeek's words."""
    if event.get("choices"):
        event = event | {"choices": [_ended(choice) for choice in event["choices"]]}
    return event | {"usage": usage(event["usage"])} if event.get("usage") else event


def to_engine(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """A checked client request -> the engine's request. Raises BadRequest for what is not open."""
    refuse_private(given)
    asked = passed(given, COMPLETIONS)
    asked |= {"model": given["model"], "stream": bool(given.get("stream"))}
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}
    asked |= terms.own_fields(given)
    asked.setdefault("temperature", terms.defaults.temperature)
    asked.setdefault("top_p", terms.defaults.top_p)
    asked["max_tokens"] = terms.at_most(asked.get("max_tokens", terms.defaults.max_tokens))
    if (budget := terms.think_at_most(asked.get("thinking_token_budget"))) is not None:
        asked["thinking_token_budget"] = budget
    bounds.check(asked, terms.limits)
    return _fill_in(asked, terms.manner) if asked.get("suffix") is not None else asked


def _fill_in(asked: dict[str, Any], manner: Manner) -> dict[str, Any]:
    """Fill in the middle: a text with a gap between `prompt` and `suffix`.

    vLLM 0.32 writes DeepSeek's markers itself for V4 and later alone (renderers/deepseek_v4.py).
    """
    prompt = asked["prompt"]
    if manner.fim == "no":
        raise BadRequest(
            f"This model ({manner.family}) was not trained to fill in the middle. Leave suffix out.",
            param="suffix",
            code="unsupported_parameter",
        )
    if not isinstance(prompt, str):
        raise BadRequest("With suffix, prompt must be one string.", param="prompt")
    if asked.get("echo"):
        raise BadRequest("echo does not go with suffix.", param="echo")
    if manner.fim == "field":
        return asked
    suffix = asked.pop("suffix")
    return asked | {"prompt": f"{FIM_BEGIN}{prompt}{FIM_HOLE}{suffix}{FIM_END}"}

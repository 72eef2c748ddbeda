"""Chat completions: DeepSeek's and OpenAI's words <-> vLLM's. Pure.

vLLM says `reasoning` where DeepSeek says `reasoning_content`; it leaves nulls and private keys in its
answers; its thinking switch is a template variable. Read in vLLM 0.32:
entrypoints/openai/chat_completion/{protocol,serving}.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from seekserve.dialect import bounds, finish, logprobs, strict, strict_tools
from seekserve.dialect.fields import CHAT, passed, refuse_private
from seekserve.dialect.stream import Events, UsageLast, data
from seekserve.dialect.terms import Terms
from seekserve.dialect.thinking import Thought, template_kwargs, thought
from seekserve.dialect.usage import usage
from seekserve.errors import BadRequest
from seekserve.settings import Defaults


class Chat:
    """The accent of /chat/completions. `usage_last` tells a stream's usage with its last choice."""

    path = "/v1/chat/completions"

    def __init__(self, usage_last: bool = False) -> None:
        self._events = UsageLast if usage_last else Events

    def voice(self, show_usage: bool) -> Events:
        return self._events(events, parsed, show_usage)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": answer.get("id"),
            "object": "chat.completion",
            "created": answer.get("created"),
            "model": answer.get("model"),
            "system_fingerprint": answer.get("system_fingerprint"),
            "choices": [_choice(choice, "message") for choice in answer.get("choices") or ()],
            "usage": usage(answer.get("usage") or {}),
        }


# A quoted key followed by a colon cannot occur inside a JSON string, whose quotes are escaped.
_EMPTY = re.compile(rb'"reasoning_content":\s*(?:null|"")')
_LATER_EMPTY = re.compile(rb',\s*"reasoning_content":\s*(?:null|"")')
_FIRST_EMPTY = re.compile(rb'(?<=\{)\s*"reasoning_content":\s*(?:null|"")\s*,?\s*')
_THOUGHT = re.compile(rb'"reasoning_content":\s*"[^"]')
_SPOKEN = re.compile(rb'"content":\s*"[^"]')
_KINDS = ("reasoning_content", "content")
_OPENING_NULLS = (b',"prompt_token_ids":null', b',"prompt_text":null')


def events(data: bytes) -> bytes:
    """Renames `reasoning` and drops what is null, on the bytes of whole events. None is parsed but one that
    holds both reasoning and content.
    """
    data = data.replace(b'"reasoning":', b'"reasoning_content":').replace(b',"token_ids":null', b"")
    if b'"reasoning_content":' in data:
        if _EMPTY.search(data):
            data = _FIRST_EMPTY.sub(b"", _LATER_EMPTY.sub(b"", data))
        if b'"content":' in data and _SPOKEN.search(data):
            data = b"\n\n".join(map(_parted, data.split(b"\n\n")))
    if b'"stop_reason":null' in data:
        data = data.replace(b',"stop_reason":null', b"")
    if b'"role":' in data:
        for private in _OPENING_NULLS:
            data = data.replace(private, b"")
    if b'"finish_reason":"' in data or b'"finish_reason": "' in data:
        data = finish.in_bytes(data)
    return logprobs.in_bytes(data)


def _parted(event: bytes) -> bytes:
    """An event that tells the end of a thought and what follows it, as two: DeepSeek's clients read one
    or the other. vLLM tells both at once where one step made several tokens.
    """
    if not (_THOUGHT.search(event) and _SPOKEN.search(event)):
        return event
    try:
        told = json.loads(event.removeprefix(b"data:"))
        thought, answer = _halves(*told["choices"])
    except (ValueError, TypeError, KeyError, AttributeError):  # not in the shape of a chat's delta
        return event
    both = data(told | {"choices": [thought]}) + data(told | {"choices": [answer]})
    return both.removesuffix(b"\n\n")


def _halves(choice: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The finish comes with the second."""
    delta = choice["delta"]
    thought = {key: delta[key] for key in ("role", "reasoning_content") if key in delta}
    answer = {key: value for key, value in delta.items() if key not in thought}
    told = logprobs.told_apart(choice.get("logprobs"), True, True) or {}
    sure = {kind: {kind: told[kind]} if told.get(kind) else None for kind in _KINDS}
    index = {"index": choice.get("index", 0), "delta": thought}
    return (
        index | {"logprobs": sure["reasoning_content"], "finish_reason": None},
        choice | {"delta": answer, "logprobs": sure["content"]},
    )


def parsed(event: dict[str, Any]) -> dict[str, Any]:
    """One event of a stream, parsed: what `events` does, and the usage in DeepSeek's words."""
    if event.get("usage"):
        event = event | {"usage": usage(event["usage"])}
    return event | {"choices": [_choice(c, "delta") for c in event.get("choices") or ()]}


def to_engine(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """A checked client request -> the engine's request. Raises BadRequest for what is not open."""
    refuse_private(given)
    thinks = thought(given, terms)
    if terms.dialect.strict:
        strict.check(given, thinks)
    asked = passed(given, CHAT)
    asked |= {"model": given["model"], "stream": bool(given.get("stream"))}
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}  # we always want the counts
    asked |= terms.own_fields(given)
    asked["messages"] = [_message(message) for message in given["messages"]]
    if not asked["messages"]:  # another API's turns may come to nothing
        raise BadRequest(
            "There is nothing to answer: no turn of messages (or input) says anything. Add one.",
            param="messages",
        )
    _sampling(asked, terms, thinks)
    _tools(asked)
    _thinking(asked, thinks)
    bounds.check(asked, terms.limits)
    return asked


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without nulls, which vLLM's templates trip over; `developer` is OpenAI's newer word for system."""
    role = "system" if message["role"] == "developer" else message["role"]
    kept = {key: v for key, v in message.items() if v is not None and key != "prefix"}
    return kept | {"role": role}


def _sampling(asked: dict[str, Any], terms: Terms, thinks: Thought) -> None:
    defaults = terms.defaults
    asked.setdefault("temperature", defaults.temperature)
    asked.setdefault("top_p", defaults.top_p)
    wanted = asked.pop("max_completion_tokens", None) or asked.get("max_tokens")
    asked["max_tokens"] = terms.at_most(wanted or _room(defaults, thinks))


def _room(defaults: Defaults, thinks: Thought) -> int:
    """Tokens to generate where the client does not say: reasoning wants more than an answer does."""
    if thinks.on is False:
        return defaults.max_tokens
    return (
        defaults.max_tokens_max_effort if thinks.effort == "max" else defaults.max_tokens_thinking
    )


def _tools(asked: dict[str, Any]) -> None:
    if not asked.get("tools"):
        asked.pop("tools", None)
        asked.pop("tool_choice", None)
        asked.pop("parallel_tool_calls", None)
        return
    strict_tools.check(asked["tools"])


def _thinking(asked: dict[str, Any], thinks: Thought) -> None:
    asked.pop("reasoning_effort", None)
    asked.pop("thinking_token_budget", None)
    if switches := template_kwargs(thinks):
        asked["chat_template_kwargs"] = switches
    if thinks.effort:
        asked["reasoning_effort"] = thinks.effort
    if thinks.budget is not None:
        asked["thinking_token_budget"] = thinks.budget


_MESSAGE = ("role", "content", "reasoning_content", "tool_calls", "refusal")


def _choice(choice: dict[str, Any], part: str) -> dict[str, Any]:
    """One choice, with its message or delta, known keys only; empty ones are left out, never null."""
    said = dict(choice.get(part) or {})
    if "reasoning" in said:
        said["reasoning_content"] = said.pop("reasoning") or said.get("reasoning_content")
    kept = {key: said[key] for key in _MESSAGE if said.get(key) not in (None, [])}
    if not kept.get("reasoning_content"):
        kept.pop("reasoning_content", None)
    if part == "message":
        kept = {"role": "assistant", "content": said.get("content")} | kept
    told = choice.get("logprobs")
    told = logprobs.told_apart(told, "reasoning_content" in kept, bool(said.get("content")))
    return {
        "index": choice.get("index", 0),
        part: kept,
        "finish_reason": finish.finish(choice.get("finish_reason")),
        "logprobs": told,
    }

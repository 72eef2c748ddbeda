"""Chat completions: DeepSeek's and OpenAI's words <-> vLLM's. Pure.

vLLM says `reasoning` where DeepSeek says `reasoning_content`; it leaves nulls and private keys in its
answers; its thinking switch is a template variable. Read in vLLM 0.32:
entrypoints/openai/chat_completion/{protocol,serving}.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seekserve.config import Defaults
from seekserve.dialect.fields import CHAT, TEMPLATE_SWITCHES, passed, refuse_private
from seekserve.dialect.stream import Events
from seekserve.dialect.usage import usage
from seekserve.errors import BadRequest

EFFORTS = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "high",
    "max": "max",
    "ultra": "max",
}
"""What clients call an effort -> what DeepSeek knows (DeepSeek's documented synonyms)."""


class Chat:
    """The accent of /chat/completions."""

    path = "/v1/chat/completions"

    def voice(self, show_usage: bool) -> Events:
        return Events(events, parsed, show_usage)

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
_OPENING_NULLS = (b',"prompt_token_ids":null', b',"prompt_text":null')


def events(data: bytes) -> bytes:
    """Renames `reasoning` and drops what is null, on the bytes of whole events, without parsing."""
    data = data.replace(b'"reasoning":', b'"reasoning_content":').replace(b',"token_ids":null', b"")
    if b'"reasoning_content":' in data and _EMPTY.search(data):
        data = _FIRST_EMPTY.sub(b"", _LATER_EMPTY.sub(b"", data))
    if b'"stop_reason":null' in data:
        data = data.replace(b',"stop_reason":null', b"")
    if b'"role":' in data:
        for private in _OPENING_NULLS:
            data = data.replace(private, b"")
    return data


def parsed(event: dict[str, Any]) -> dict[str, Any]:
    """One event of a stream, parsed: what `events` does, and the usage in DeepSeek's words."""
    if event.get("usage"):
        event = event | {"usage": usage(event["usage"])}
    return event | {"choices": [_choice(c, "delta") for c in event.get("choices") or ()]}


def to_engine(
    given: Mapping[str, Any], defaults: Defaults, max_model_len: int | None
) -> dict[str, Any]:
    """A checked client request -> the engine's request. Raises BadRequest for what is not open.

    `max_model_len` (tokens) bounds what is asked for: vLLM refuses a larger number instead of
    giving what there is.
    """
    refuse_private(given)
    asked = passed(given, CHAT)
    asked |= {"model": given["model"], "stream": bool(given.get("stream"))}
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}  # we always want the counts
    asked["messages"] = [_message(message) for message in given["messages"]]
    _sampling(asked, defaults, max_model_len)
    _tools(asked)
    _thinking(asked, given, defaults)
    return asked


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without nulls, which vLLM's templates trip over; `developer` is OpenAI's newer word for system."""
    role = "system" if message["role"] == "developer" else message["role"]
    return {key: v for key, v in message.items() if v is not None} | {"role": role}


def _sampling(asked: dict[str, Any], defaults: Defaults, max_model_len: int | None) -> None:
    asked.setdefault("temperature", defaults.temperature)
    asked.setdefault("top_p", defaults.top_p)
    wanted = asked.pop("max_completion_tokens", None) or asked.get("max_tokens")
    asked["max_tokens"] = min(wanted or defaults.max_tokens, max_model_len or 1 << 62)


def _tools(asked: dict[str, Any]) -> None:
    if not asked.get("tools"):
        asked.pop("tools", None)
        asked.pop("tool_choice", None)
        asked.pop("parallel_tool_calls", None)


def thinking(given: Mapping[str, Any], default: str) -> bool | None:
    """Whether to think: `thinking.type`, else the template switch, else the effort, else the default.

    None leaves it to the engine.
    """
    switches = given.get("chat_template_kwargs") or {}
    if unknown := set(switches) - TEMPLATE_SWITCHES:
        raise BadRequest(
            f"chat_template_kwargs may only hold thinking and enable_thinking, not "
            f"{sorted(unknown)[0][:40]!r}.",
            param="chat_template_kwargs",
            code="unsupported_parameter",
        )
    if (switch := given.get("thinking")) is not None:
        return bool(switch["type"] == "enabled")
    if said := [bool(value) for value in switches.values() if value is not None]:
        return any(said)
    if effort := given.get("reasoning_effort"):
        return EFFORTS[effort] != "none"
    return {"enabled": True, "disabled": False}.get(default)


def _thinking(asked: dict[str, Any], given: Mapping[str, Any], defaults: Defaults) -> None:
    """Both template switches say the same: in vLLM any effort but none would overrule `thinking`."""
    effort = EFFORTS.get(asked.pop("reasoning_effort", ""), "none")
    think = thinking(given, defaults.thinking)
    if think is None:
        return
    asked["chat_template_kwargs"] = {"thinking": think, "enable_thinking": think}
    if think and effort != "none":
        asked["reasoning_effort"] = effort


_MESSAGE = ("role", "content", "reasoning_content", "tool_calls", "refusal")
_CHOICE = ("index", "finish_reason", "logprobs")


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
    return {"index": choice.get("index", 0), part: kept} | {
        key: choice.get(key) for key in _CHOICE[1:]
    }

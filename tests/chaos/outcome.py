"""How a request ended, read from what its client heard. Pure.

There are three ways: answered, refused with a reason, or an error event in its stream. Everything else is
`lost`, with what was wrong: no end, two ends, words after the end, a refusal without a reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.chaos.asks import Dialect
from tests.chaos.line import Heard

Way = Literal["answered", "refused", "error", "lost"]
MOST_TOLD = 160
ENDS = {
    "response.completed",
    "response.incomplete",
    "message_stop",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`why` is a refusal's or error's code, or what is wrong; `told` an error's words, which are ours and
    hold no prompt; `text` all that was said; `spoke` whether anything had been.
    """

    way: Way
    why: str = ""
    text: str = ""
    usage: str = ""
    spoke: bool = False
    told: str = ""


def judged(dialect: Dialect, heard: Heard) -> Outcome:
    if heard.end != "whole":
        return Outcome("lost", heard.end or "no end", spoke=bool(heard.body))
    if heard.stray:
        return Outcome("lost", f"{heard.stray} bytes after its end", spoke=True)
    try:
        if heard.status != 200:
            return _refused(heard)
        if heard.kind.startswith("text/event-stream"):
            return _streamed(dialect, bytes(heard.body))
        told = json.loads(bytes(heard.body))
        return Outcome("answered", "", _whole(dialect, told), _usage(told), True)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return Outcome("lost", f"unreadable ({type(error).__name__})", spoke=bool(heard.body))


def _refused(heard: Heard) -> Outcome:
    error = json.loads(bytes(heard.body))["error"]
    code = error.get("code") or error.get("type")
    if not (code and error["message"]):
        return Outcome("lost", f"status {heard.status} without a reason")
    if heard.status == 503 and not heard.retry_after:
        return Outcome("lost", f"503 {code} without Retry-After")
    told = str(error["message"])[:MOST_TOLD]
    return Outcome("refused", f"{heard.status} {code}", told=told)


def _streamed(dialect: Dialect, body: bytes) -> Outcome:
    events = list(_events(body))
    ends = [n for n, (name, data) in enumerate(events) if _is_end(name, data)]
    errors = [n for n, (name, data) in enumerate(events) if _is_error(name, data)]
    text = "".join(_said(dialect, data) for _, data in events if isinstance(data, dict))
    usage = "".join(_usage(data) for _, data in events if isinstance(data, dict))
    spoke = bool(text)
    if len(errors) == 1 and not ends:
        code, told = _code(events[errors[0]][1])
        return Outcome("error", code, text, usage, spoke, told)
    if len(ends) == 1 and not errors and ends[0] == len(events) - 1:
        return Outcome("answered", "", text, usage, spoke)
    return Outcome(
        "lost", f"{len(ends)} ends and {len(errors)} errors in its stream", text, usage, spoke
    )


def _events(body: bytes) -> Iterator[tuple[str, Any]]:
    """Name and data of each; comments and pings are none."""
    for block in body.decode().split("\n\n"):
        name, data = "", ""
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            name = value.strip() if field == "event" else name
            data += value.strip() if field == "data" else ""
        if data and name != "ping":
            yield name, data if data == "[DONE]" else json.loads(data)


def _is_end(name: str, data: Any) -> bool:
    return data == "[DONE]" or name in ENDS


def _is_error(name: str, data: Any) -> bool:
    failed = name in ("error", "response.failed")
    return failed or (isinstance(data, dict) and not name and bool(data.get("error")))


def _code(data: Any) -> tuple[str, str]:
    error = data.get("error") or data.get("response", {}).get("error") or data
    return str(error.get("code") or error.get("type")), str(error.get("message"))[:MOST_TOLD]


def _said(dialect: Dialect, data: dict[str, Any]) -> str:
    """What one event adds to the text, reasoning and answer alike."""
    if dialect == "responses":
        return str(data["delta"]) if str(data.get("type")).endswith("text.delta") else ""
    if dialect == "messages":
        delta = data.get("delta", {}) if data.get("type") == "content_block_delta" else {}
        return str(delta.get("text") or delta.get("thinking") or "")
    choices = data.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    said = (choices[0].get("text"), delta.get("reasoning_content"), delta.get("content"))
    return "".join(part for part in said if part)


def _whole(dialect: Dialect, told: dict[str, Any]) -> str:
    if dialect == "responses":
        parts = [part for item in told["output"] for part in item.get("content") or ()]
        return "".join(part.get("text", "") for part in parts)
    if dialect == "messages":
        return "".join(str(b.get("thinking", "")) + str(b.get("text", "")) for b in told["content"])
    choice = told["choices"][0]
    message = choice.get("message") or {"content": choice.get("text")}
    return str(message.get("reasoning_content") or "") + str(message.get("content") or "")


def _usage(told: dict[str, Any]) -> str:
    """What was counted of the answer: the prompt's part depends on what was cached."""
    usage = told.get("usage") or (told.get("response") or {}).get("usage") or {}
    made = usage.get("completion_tokens", usage.get("output_tokens"))
    return "" if made is None else f"{made} "

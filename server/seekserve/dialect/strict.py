"""What DeepSeek's own API refuses and we by default do not. On with `dialect: {strict: true}`. Pure.

Many clients break these rules (LangChain never sends reasoning back, Claude Code's user ids hold
braces), so by default the engine's more generous behaviour stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seekserve.dialect.thinking import Thought
from seekserve.errors import BadRequest

_USER = re.compile(r"[A-Za-z0-9_-]{1,512}")


def check(given: Mapping[str, Any], thinks: Thought) -> None:
    """Raises BadRequest, in DeepSeek's own terms."""
    if thinks.on:
        _tool_choice(given)
        _reasoning(given)
    _json_named(given)
    if (user := given.get("user_id")) and not _USER.fullmatch(user):
        raise BadRequest(
            "user_id may hold up to 512 letters, digits, - and _ alone.", param="user_id"
        )


def _tool_choice(given: Mapping[str, Any]) -> None:
    if given.get("tool_choice") not in (None, "none", "auto"):
        raise BadRequest("Thinking mode does not support this tool_choice.", param="tool_choice")


def _reasoning(given: Mapping[str, Any]) -> None:
    if not given.get("tools"):
        return
    for place, message in enumerate(given["messages"]):
        earlier = message["role"] == "assistant" and not message.get("prefix")
        if earlier and message.get("reasoning_content") is None:
            raise BadRequest(
                "With tools, the reasoning_content of every earlier answer in the thinking mode must "
                "be passed back to the API.",
                param=f"messages.{place}.reasoning_content",
            )


def _json_named(given: Mapping[str, Any]) -> None:
    """Without the word the model may write blanks until it runs out of tokens."""
    wanted = (given.get("response_format") or {}).get("type")
    if wanted == "json_object" and not any(_says_json(message) for message in given["messages"]):
        raise BadRequest(
            "response_format json_object needs the word json in the prompt.", param="messages"
        )


def _says_json(message: Mapping[str, Any]) -> bool:
    content = message.get("content") or ""
    parts = [content] if isinstance(content, str) else [part["text"] for part in content]
    return any("json" in part.lower() for part in parts)

"""What strict mode refuses, each rule alone; and that by default none of it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect import anthropic, chat
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest
from seekserve.settings import Dialect

STRICT, LENIENT = Terms(dialect=Dialect(strict=True)), Terms()
ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
TOOLS = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
NAMED = {"type": "function", "function": {"name": "f"}}
JSON = {"response_format": {"type": "json_object"}}


def messages(*said: tuple[str, Any], **last: Any) -> dict[str, Any]:
    told: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in said]
    told[-1] |= last
    return {"model": "m", "messages": told}


ASK = messages(("user", "hi"))
AGAIN = messages(("user", "a"), ("assistant", "b"), ("user", "c"))
BEGUN = messages(("user", "a"), ("assistant", "b"), prefix=True)


def remembering(thought: str | None) -> dict[str, Any]:
    told = messages(("user", "a"), ("assistant", "b"), ("user", "c"))
    told["messages"][1]["reasoning_content"] = thought
    return told


@pytest.mark.parametrize(
    ("given", "param"),
    [
        # A tool that must be called does not go with thinking.
        (ASK | ON | TOOLS | {"tool_choice": "required"}, "tool_choice"),
        (ASK | ON | TOOLS | {"tool_choice": NAMED}, "tool_choice"),
        (ASK | TOOLS | {"tool_choice": "required"}, "tool_choice"),
        (ASK | OFF | TOOLS | {"tool_choice": "required"}, ""),
        (ASK | ON | TOOLS | {"tool_choice": "auto"}, ""),
        (ASK | ON | TOOLS | {"tool_choice": "none"}, ""),
        (ASK | ON | TOOLS, ""),
        # With tools, what was thought comes back; it may be empty.
        (AGAIN | ON | TOOLS, "messages.1.reasoning_content"),
        (remembering(None) | ON | TOOLS, "messages.1.reasoning_content"),
        (remembering("") | ON | TOOLS, ""),
        (remembering("so") | ON | TOOLS, ""),
        (AGAIN | ON, ""),
        (AGAIN | OFF | TOOLS, ""),
        (BEGUN | ON | TOOLS | {"tool_choice": "none"}, ""),
        # The word json, in any case and any message.
        (ASK | OFF | JSON, "messages"),
        (messages(("user", "As JSON.")) | JSON, ""),
        (messages(("system", "json"), ("user", "hi")) | JSON, ""),
        (messages(("user", [{"type": "text", "text": "a Json"}])) | JSON, ""),
        (messages(("user", [{"type": "text", "text": "yaml"}])) | JSON, "messages"),
        (messages(("user", "a"), ("assistant", None)) | JSON, "messages"),
        (ASK | {"response_format": {"type": "text"}}, ""),
        (ASK | {"response_format": None}, ""),
        # Users.
        (ASK | {"user_id": "a-B_9"}, ""),
        (ASK | {"user_id": "x" * 512}, ""),
        (ASK | {"user_id": "x" * 513}, "user_id"),
        (ASK | {"user_id": "a b"}, "user_id"),
        (ASK | {"user_id": "a\n"}, "user_id"),
        (ASK | {"user_id": "ü"}, "user_id"),
        (ASK | {"user_id": ""}, ""),
        (ASK | {"user_id": None}, ""),
    ],
)
def test_the_rules(given: dict[str, Any], param: str) -> None:
    chat.to_engine(given, LENIENT)
    if not param:
        chat.to_engine(given, STRICT)
        return
    with pytest.raises(BadRequest) as refused:
        chat.to_engine(given, STRICT)
    assert refused.value.param == param


def test_anthropics_clients_are_held_to_them_too() -> None:
    given = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    user = {"metadata": {"user_id": '{"device_id":"x"}'}}
    anthropic.to_engine(given | user, LENIENT)
    with pytest.raises(BadRequest, match="user_id"):
        anthropic.to_engine(given | user, STRICT)

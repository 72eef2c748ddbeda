"""Chat prefix completion: the client begins the answer (`prefix: true` on a last assistant message).

No two of vLLM 0.32's chat formats continue a message alike (`continue_final_message` works in Jinja
templates alone, `wo_eos` in V4.1's encoder alone), but every one of them opens an answer. So the
engine's own /tokenize renders the conversation up to there, the beginning is put behind it as tokens,
and the engine goes on from that as from any text; `continued` tells it as a chat answer. Pure.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from seekserve.dialect.logprobs import END
from seekserve.dialect.terms import Terms
from seekserve.dialect.thinking import Thought, template_kwargs
from seekserve.errors import BadRequest, EngineBroke

Body = dict[str, Any]
Steps = Generator[tuple[str, Body], Body, Body]
"""Yields (path, body) of an engine call, is sent its answer, returns the body of the last call."""

_OPEN = "<think>"
_RENDERED = ("model", "messages", "tools", "chat_template_kwargs")
_CHAT_ONLY = frozenset(
    """
    chat_template_kwargs include_reasoning logprobs messages parallel_tool_calls reasoning_effort
    tool_choice tools top_logprobs
    """.split()
)


def begun(given: Mapping[str, Any]) -> bool:
    """Whether the answer is begun by the client. Raises BadRequest where it cannot be."""
    messages = given["messages"]
    marked = [place for place, message in enumerate(messages) if message.get("prefix")]
    if not marked:
        return False
    if marked[0] != len(messages) - 1 or messages[-1]["role"] != "assistant":
        raise BadRequest(
            "prefix belongs on the last message alone, an assistant's.",
            param=f"messages.{marked[0]}.prefix",
        )
    check(given)
    return True


def check(given: Mapping[str, Any]) -> None:
    """Raises BadRequest where there is nothing to answer, or the answer might have to be a call."""
    if len(given["messages"]) < 2:
        raise BadRequest("There is nothing before the begun answer.", param="messages")
    if given.get("tools") and given.get("tool_choice") != "none":
        raise BadRequest(
            "A begun answer does not go with tools: what follows a given beginning is read as text. "
            "Leave tools out, or set tool_choice to none.",
            param="tools",
        )


def thinks_on(wanted: Body) -> bool:
    """Whether what comes first goes on with the reasoning that was given."""
    last = wanted["messages"][-1]
    off = (wanted.get("chat_template_kwargs") or {}).get("thinking") is False
    return bool(last.get("reasoning_content")) and not _text(last) and not off


def steps(wanted: Body, terms: Terms) -> Steps:
    """From the chat request that the same conversation would make to a text completion.

    What was begun may think although the request says not to, hence has the cap of those that do.
    """
    *before, last = wanted["messages"]
    opening = yield "/tokenize", _conversation(wanted, before)
    opened = _OPEN in "".join(opening.get("token_strs") or ())[-12:]
    text = _beginning(last, opened, thinks_on(wanted))
    plain = {"model": wanted["model"], "add_special_tokens": False, "prompt": text}
    beginning = yield "/tokenize", plain
    asked = {name: value for name, value in wanted.items() if name not in _CHAT_ONLY}
    if wanted.get("logprobs"):
        asked["logprobs"] = wanted.get("top_logprobs") or 0
    if (cap := terms.think_at_most()) is not None:
        asked.setdefault("thinking_token_budget", cap)
    return asked | {"prompt": _tokens(opening) + _tokens(beginning)}


def _beginning(last: Body, opened: bool, thinks: bool) -> str:
    """The answer so far, behind an opening that has begun to think (`opened`) or has not."""
    thought = last.get("reasoning_content") or ""
    if thinks:
        return thought if opened else _OPEN + thought
    return thought + END + _text(last) if opened else _text(last)


def _text(message: Body) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _conversation(wanted: Body, messages: Sequence[Body]) -> Body:
    """As the chat request has it; reasoning that was begun is to be gone on with."""
    going_on: Body = dict(template_kwargs(Thought(True if thinks_on(wanted) else None)))
    switches = going_on | (wanted.get("chat_template_kwargs") or {})
    if effort := wanted.get("reasoning_effort"):
        switches["reasoning_effort"] = effort
    told = {name: wanted[name] for name in _RENDERED if name in wanted}
    told |= {"messages": messages, "chat_template_kwargs": switches}
    return told | {"return_token_strs": True}


def _tokens(told: Body) -> list[int]:
    tokens = told.get("tokens")
    if not isinstance(tokens, list):
        raise EngineBroke("The engine did not render the conversation.")
    return tokens

"""Anthropic's Messages -> the engine's chat completions, by way of our own chat dialect. Pure.

What DeepSeek's endpoint of this name does is in its documentation (guides/anthropic_api). Beyond it
this one honours top_k, output_config.format and is_error. The answers are in `anthropic_answer` and
`anthropic_stream`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seekserve.dialect import anthropic_answer, chat
from seekserve.dialect.anthropic_stream import Stream
from seekserve.dialect.fields import refuse_private
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest, EngineBroke

_SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
    "max_tokens": "max_tokens",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_BILLING = (
    "x-anthropic-billing-header"  # Claude Code's: new each time, so it would defeat the cache
)
_TOKENIZE = ("model", "messages", "tools", "chat_template_kwargs")


class Messages:
    """The accent of /v1/messages, for one request: the model is called what its client calls it."""

    path = "/v1/chat/completions"

    def __init__(self, model: str) -> None:
        self._model = model

    def voice(self, show_usage: bool) -> Stream:
        return Stream(self._model)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return anthropic_answer.message(answer, self._model)


class Count(Messages):
    """The accent of /v1/messages/count_tokens."""

    path = "/tokenize"

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(answer.get("count"), int):
            raise EngineBroke("The engine did not tell a count of tokens.")
        return {"input_tokens": answer["count"]}


def to_engine(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """A checked Messages request -> the engine's request. Raises BadRequest for what is not open."""
    refuse_private(given)
    asked = {"model": given["model"], "stream": bool(given.get("stream"))}
    asked |= {
        ours: given[name] for name, ours in _SAME.items() if given.get(name) not in (None, [])
    }
    if user := (given.get("metadata") or {}).get("user_id"):
        asked["user_id"] = user
    asked |= _tools(given) | _thinking(given, terms)
    asked["messages"] = _Conversation(bool(asked.get("tools"))).read(given)
    return chat.to_engine(asked, terms)


def to_count(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """A checked count_tokens request -> the engine's /tokenize request. What shapes an answer alone is none
    of its fields, and was not checked.
    """
    asked = to_engine({name: given[name] for name in given if name not in _SAME}, terms)
    return {name: asked[name] for name in _TOKENIZE if name in asked}


def _thinking(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """`adaptive` leaves how much to the model, which is what DeepSeek's do. A budget holds where the
    engine is known to keep one; elsewhere it has no effect, as at DeepSeek's own endpoint.

    Without a word about thinking the server's own default holds, as for chat.
    """
    asked: dict[str, Any] = {}
    if thinking := given.get("thinking"):
        on = thinking["type"] != "disabled"
        asked["thinking"] = {"type": "enabled" if on else "disabled"}
        if on and terms.manner.budget and thinking.get("budget_tokens"):
            asked["thinking"]["budget_tokens"] = thinking["budget_tokens"]
    output = given.get("output_config") or {}
    if effort := output.get("effort"):
        asked["reasoning_effort"] = effort
    if form := output.get("format"):
        schema = {"name": "answer", "schema": form["schema"], "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked


def _tools(given: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, place) for place, tool in enumerate(given.get("tools") or ())]
    choice = given.get("tool_choice") or {}
    _check_choice(choice, {tool["function"]["name"] for tool in tools})
    if not tools:
        return {}
    asked: dict[str, Any] = {"tools": tools}
    if choice.get("type") == "tool":
        asked["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif choice:
        asked["tool_choice"] = _CHOICES[choice["type"]]
    if choice.get("disable_parallel_tool_use"):
        asked["parallel_tool_calls"] = False
    return asked


def _tool(tool: Mapping[str, Any], place: int) -> dict[str, Any]:
    kind = tool.get("type") or "custom"
    if kind != "custom":
        raise BadRequest(
            f"tools.{place}: {kind[:60]!r} is a tool that Anthropic defines; it does not exist here. "
            "Leave it out, or define one of your own with an input_schema.",
            param=f"tools.{place}.type",
        )
    if tool.get("input_schema") is None:
        raise BadRequest(f"tools.{place}.input_schema is missing.", param=f"tools.{place}")
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    more = {key: tool[key] for key in ("description", "strict") if tool.get(key) is not None}
    return {"type": "function", "function": function | more}


def _check_choice(choice: Mapping[str, Any], names: set[str]) -> None:
    if choice.get("type") in ("any", "tool") and not names:
        raise BadRequest("tool_choice asks for a tool, but tools is empty.", param="tool_choice")
    if choice.get("type") == "tool" and choice.get("name") not in names:
        raise BadRequest("tool_choice.name is none of tools.", param="tool_choice.name")


class _Conversation:
    """Reads turns one by one, and remembers which tool calls there were.

    DeepSeek wants the thinking of earlier turns back where a request has tools, and has no use for
    it elsewhere (guides/thinking_mode).
    """

    def __init__(self, keep_thinking: bool) -> None:
        self._keep_thinking = keep_thinking
        self._calls: set[str] = set()
        self._turns: list[dict[str, Any]] = []

    def read(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        readers = {"user": self._user, "assistant": self._assistant, "system": self._system}
        self._system(_blocks(given.get("system") or []), "system")
        for place, turn in enumerate(given["messages"]):
            readers[turn["role"]](_blocks(turn["content"]), f"messages.{place}")
        return self._turns

    def _system(self, blocks: list[dict[str, Any]], at: str) -> None:
        texts = [text for text in _texts(blocks, at) if not text.startswith(_BILLING)]
        if texts:
            self._turns.append({"role": "system", "content": "\n".join(texts)})

    def _user(self, blocks: list[dict[str, Any]], at: str) -> None:
        """Tool results come first, wherever they stand: templates want them next to their calls."""
        results = [block for block in blocks if block["type"] == "tool_result"]
        for block in results:
            self._result(block, _result_text(block, at), at)
        rest = [block for block in blocks if block["type"] != "tool_result"]
        if rest or not results:
            self._turns.append({"role": "user", "content": "\n".join(_texts(rest, at))})

    def _assistant(self, blocks: list[dict[str, Any]], at: str) -> None:
        """One message; the results of a server's own tools, which stand inside it, part it in two."""
        part: list[dict[str, Any]] = []
        for block in blocks:
            if block["type"] == "web_search_tool_result":
                self._spoken(part)
                self._result(block, json.dumps(block.get("content"), ensure_ascii=False), at)
                part = []
            elif block["type"] == "tool_result":
                raise BadRequest(f"{at}: a tool_result is the user's to send.", param=at)
            else:
                part.append(block)
        if part or not blocks:
            self._spoken(part)

    def _spoken(self, blocks: list[dict[str, Any]]) -> None:
        texts = [block["text"] for block in blocks if block["type"] == "text"]
        thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
        calls = [_call(b) for b in blocks if b["type"] in ("tool_use", "server_tool_use")]
        self._calls |= {call["id"] for call in calls}
        turn: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
        if thoughts and self._keep_thinking:
            turn["reasoning_content"] = "".join(thoughts)
        if calls:
            turn["tool_calls"] = calls
        self._turns.append(turn)

    def _result(self, block: Mapping[str, Any], text: str, at: str) -> None:
        if block["tool_use_id"] not in self._calls:
            raise BadRequest(
                f"{at}: a {block['type']} has a tool_use_id that no earlier tool_use has.", param=at
            )
        self._turns.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": text})


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _texts(blocks: list[dict[str, Any]], at: str) -> list[str]:
    """The texts of blocks that may be nothing else here."""
    for block in blocks:
        if block["type"] != "text":
            raise BadRequest(f"{at}: a {block['type']} block is the assistant's.", param=at)
    return [block["text"] for block in blocks if block["text"]]


def _result_text(block: Mapping[str, Any], at: str) -> str:
    text = "\n".join(_texts(_blocks(block.get("content") or []), at))
    return f"Error: {text}" if block.get("is_error") else text


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(block["input"], ensure_ascii=False)
    function = {"name": block["name"], "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function}

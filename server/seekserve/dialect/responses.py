"""/v1/responses without a memory, as DeepSeek serves it, on the engine's chat completions. Pure.

A request's items become chat messages and the rest goes through `chat.to_engine`; an answer's message
becomes items. Nothing is stored: what refers to an earlier response is refused, not ignored, since
the model would answer without the turns that the client believes it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.dialect import chat
from seekserve.dialect import responses_shape as shape
from seekserve.dialect.fields import refuse_private
from seekserve.dialect.responses_stream import Stream
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest

_STATELESS = (
    "Responses are not stored here, so {name} has nothing to refer to. "
    "Send the whole conversation in input instead."
)
_REFUSED = {
    "previous_response_id": _STATELESS,
    "conversation": _STATELESS,
    "prompt": "Prompt templates are not stored here: {name} cannot be used. Send input instead.",
    "background": "{name} needs responses that are stored; here they are not. Leave it out.",
    "top_logprobs": "{name} is not served on /responses; use /chat/completions for it.",
}
_SAME = ("model", "stream", "temperature", "top_p", "parallel_tool_calls", "thinking")


class Responses:
    """The accent of one request to /responses: its answer repeats what was asked."""

    path = "/v1/chat/completions"

    def __init__(self, given: Mapping[str, Any], wanted: Mapping[str, Any], cap: int) -> None:
        self._echo, self._cap = shape.told(given, wanted), cap

    def voice(self, show_usage: bool) -> Stream:
        return Stream(self._echo, self._cap)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        choice: dict[str, Any] = next(iter(answer.get("choices") or ()), {})
        end = shape.ending(str(choice.get("finish_reason") or ""))
        status = "completed" if end["status"] == "completed" else "incomplete"
        output = _items(choice.get("message") or {}, shape.stem(answer), status)
        counts = shape.usage(answer.get("usage") or {})
        return shape.head(answer, self._echo) | end | {"output": output, "usage": counts}


def _items(said: Mapping[str, Any], stem: str, status: str) -> list[dict[str, Any]]:
    """The items of a message in the order they were made; only the last can be incomplete."""
    items: list[dict[str, Any]] = []
    if thought := said.get("reasoning") or said.get("reasoning_content"):
        items.append(shape.reasoning(f"rs_{stem}_0", "completed", thought))
    if text := said.get("content"):
        items.append(shape.message(f"msg_{stem}_{len(items)}", "completed", text))
    for call in said.get("tool_calls") or ():
        place, function = f"{stem}_{len(items)}", call.get("function") or {}
        called, name = call.get("id") or f"call_{place}", function.get("name") or ""
        arguments = function.get("arguments") or ""
        items.append(shape.call(f"fc_{place}", "completed", called, name, arguments))
    return [*items[:-1], items[-1] | {"status": status}] if items else []


def to_engine(given: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """A checked request -> the engine's chat request. Raises BadRequest for what is not served."""
    refuse_private(given)
    for name, why in _REFUSED.items():
        if given.get(name):
            raise BadRequest(why.format(name=name), param=name, code="unsupported_parameter")
    asked = {name: given[name] for name in _SAME if given.get(name) is not None}
    asked["messages"] = _messages(given)
    asked["tools"] = [_tool(tool, at) for at, tool in enumerate(given.get("tools") or ())]
    asked["tool_choice"] = _choice(given.get("tool_choice"), asked["tools"])
    asked["max_tokens"] = given.get("max_output_tokens")
    asked["reasoning_effort"] = (given.get("reasoning") or {}).get("effort")
    asked["response_format"] = _format((given.get("text") or {}).get("format"))
    return chat.to_engine(asked, terms)


def _tool(tool: Mapping[str, Any], at: int) -> dict[str, Any]:
    """A function in this API's flat form -> chat's nested one."""
    if tool.get("type", "function") != "function":
        raise BadRequest(
            "Only tools of type function are served here: the server runs no tools of its own.",
            param=f"tools.{at}.type",
            code="unsupported_tool",
        )
    if not tool.get("name"):
        raise BadRequest(f"tools.{at}.name is missing.", param=f"tools.{at}.name")
    known = ("name", "description", "parameters", "strict")
    return {
        "type": "function",
        "function": {k: tool[k] for k in known if tool.get(k) is not None},
    }


def _choice(choice: Any, tools: list[dict[str, Any]]) -> Any:
    names = {tool["function"]["name"] for tool in tools}
    if choice in (None, "none", "auto"):
        return choice
    if not names:
        raise BadRequest("tool_choice asks for a tool, but tools is empty.", param="tool_choice")
    if choice == "required":
        return choice
    if choice["name"] not in names:
        raise BadRequest("tool_choice names a tool that is not in tools.", param="tool_choice")
    return {"type": "function", "function": {"name": choice["name"]}}


def _format(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if wanted is None or wanted["type"] != "json_schema":
        return {"type": wanted["type"]} if wanted else None
    for name in ("name", "schema"):
        if not wanted.get(name):
            raise BadRequest(f"text.format.{name} is missing.", param=f"text.format.{name}")
    known = ("name", "description", "schema", "strict")
    told = {name: wanted[name] for name in known if wanted.get(name) is not None}
    return {"type": "json_schema", "json_schema": told}


def _messages(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Instructions and items as chat messages."""
    asked = given["input"]
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages: list[dict[str, Any]] = []
    if given.get("instructions"):
        messages.append({"role": "system", "content": given["instructions"]})
    calls: set[str] = set()
    for at, item in enumerate(items):
        _add(messages, item, calls, at)
    return [said for said in messages if set(said) != {"role", "reasoning_content"}]


def _add(messages: list[dict[str, Any]], item: Mapping[str, Any], calls: set[str], at: int) -> None:
    """One item. What the assistant thought, said and called in one turn is one message of chat."""
    kind = item.get("type") or "message"
    if kind == "message" and item["role"] != "assistant":
        messages.append({"role": item["role"], "content": _text(item["content"])})
    elif kind == "message":
        _turn(messages, ("content", "tool_calls"))["content"] = _text(item["content"])
    elif kind == "reasoning":
        thought = _text(item.get("content")) or _text(item.get("summary"), "\n")
        _turn(messages, ("reasoning_content", "content", "tool_calls"))["reasoning_content"] = (
            thought
        )
    elif kind == "function_call":
        calls.add(item["call_id"])
        function = {"name": item["name"], "arguments": item["arguments"]}
        called = {"id": item["call_id"], "type": "function", "function": function}
        _turn(messages, ()).setdefault("tool_calls", []).append(called)
    else:
        messages.append(_result(item, calls, at))


def _turn(messages: list[dict[str, Any]], taken: tuple[str, ...]) -> dict[str, Any]:
    """The assistant's message that is being put together; a new one if a `taken` field is there."""
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant" or any(name in last for name in taken):
        messages.append({"role": "assistant"})
    return messages[-1]


def _result(item: Mapping[str, Any], calls: set[str], at: int) -> dict[str, Any]:
    if item["call_id"] not in calls:
        raise BadRequest(
            f"input.{at}: no function_call before it has this call_id. Responses are not stored "
            "here: send the call itself along with its output.",
            param=f"input.{at}.call_id",
        )
    return {"role": "tool", "tool_call_id": item["call_id"], "content": _text(item["output"])}


def _text(content: Any, between: str = "") -> str:
    """A text, or the texts of its parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return between.join(part["text"] for part in content)

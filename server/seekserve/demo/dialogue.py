"""What a conversation is, and how it is written down for the model.

The chat template does the same for the server; a test holds the two equal. This one also knows
which pieces the model is to learn: its own replies and nothing else.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"
PAD = "<｜▁pad▁｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
THINK = "<think>"
THINK_END = "</think>"
CALLS = "<｜tool▁calls▁begin｜>"
CALLS_END = "<｜tool▁calls▁end｜>"
CALL = "<｜tool▁call▁begin｜>"
CALL_END = "<｜tool▁call▁end｜>"
SEP = "<｜tool▁sep｜>"
OUTPUTS = "<｜tool▁outputs▁begin｜>"
OUTPUTS_END = "<｜tool▁outputs▁end｜>"
OUTPUT = "<｜tool▁output▁begin｜>"
OUTPUT_END = "<｜tool▁output▁end｜>"

Role = Literal["system", "user", "assistant", "tool"]
Tool = Mapping[str, Any]


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Message:
    role: Role
    content: str
    thought: str = ""
    calls: tuple[Call, ...] = ()

    def wire(self, number: int) -> dict[str, Any]:
        """The message as an OpenAI client sends it; thoughts stay at home."""
        if self.role == "tool":
            return {"role": "tool", "content": self.content, "tool_call_id": f"call_{number - 1}"}
        if not self.calls:
            return {"role": self.role, "content": self.content}
        calls = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": arguments(call)},
            }
            for call in self.calls
        ]
        return {"role": self.role, "content": self.content or None, "tool_calls": calls}


Exchange = tuple[Message, ...]


@dataclass(frozen=True)
class Conversation:
    """Messages that end with a reply; `thinking` says whether that last reply thinks first."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = field(default=())
    thinking: bool = False


class Piece(NamedTuple):
    text: str
    learned: bool


def ask(user: str, thought: str, reply: str) -> Exchange:
    return (Message("user", user), Message("assistant", reply, thought))


def arguments(call: Call) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)


def kept_out(*key: object) -> bool:
    """Whether a value belongs to the tests: one in eight, the same one on every machine."""
    return zlib.crc32(repr(key).encode()) % 8 == 0


def kind(spec: Mapping[str, Any]) -> str:
    named = spec.get("type", "any")
    return named if isinstance(named, str) else "|".join(named)


def signature(tool: Tool) -> str:
    """One tool in one line. Parameter descriptions and nested schemas are left out: too long."""
    function = tool["function"]
    properties = (function.get("parameters") or {}).get("properties") or {}
    inside = ", ".join(f"{name}: {kind(spec)}" for name, spec in properties.items())
    description = function.get("description") or ""
    return f"- {function['name']}({inside}) {description}".rstrip()


def preamble(system: Sequence[str], tools: Sequence[Tool]) -> str:
    parts = [text for text in system if text]
    if tools:
        parts.append("\n".join(["Tools you may call:", *map(signature, tools)]))
    return "\n\n".join(parts)


def written(message: Message) -> str:
    """A reply without its thought."""
    if not message.calls:
        return message.content
    inside = "".join(f"{CALL}{c.name}{SEP}{arguments(c)}{CALL_END}" for c in message.calls)
    return f"{message.content}{CALLS}{inside}{CALLS_END}"


def pieces(conversation: Conversation) -> Iterator[Piece]:
    """The conversation as text, cut wherever learning starts or stops."""
    messages = [m for m in conversation.messages if m.role != "system"]
    system = [m.content for m in conversation.messages if m.role == "system"]
    yield Piece(BOS + preamble(system, conversation.tools), False)
    before: Role = "system"
    for message in messages:
        thinking = conversation.thinking and message is messages[-1]
        if message.role == "user":
            yield Piece(USER + message.content, False)
        elif message.role == "tool":
            yield Piece(OUTPUT + message.content + OUTPUT_END, False)
        else:
            yield Piece(opening(before, thinking), False)
            thought = message.thought + THINK_END if thinking else ""
            yield Piece(thought + written(message) + EOS, True)
        before = message.role


def opening(before: Role, thinking: bool) -> str:
    """What stands before a reply. After a tool's output V3.1 puts nothing there. We put <think>
    when thinking is on, because a server that expects a thought takes all else for one."""
    if before == "tool":
        return THINK if thinking else ""
    return ASSISTANT + (THINK if thinking else THINK_END)

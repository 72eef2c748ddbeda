"""Requests as clients may send them, generated: conversations in each API's own words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from seekserve.dialect.fields import REFUSED

Json = dict[str, Any]
said = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
objects = st.dictionaries(said, said | st.integers(-(2**60), 2**60) | st.booleans(), max_size=2)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | said
    | st.sampled_from(["fake", "user"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(said | names, inner, max_size=3),
    max_leaves=12,
)
extras = st.dictionaries(said.filter(lambda name: name not in REFUSED), anything, max_size=2).map(
    lambda more: {f"x_{name}": value for name, value in more.items()}
)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A conversation in plain words: who, what was thought, said and called, and what came back."""
    told: list[Json] = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            told.append({"who": "system", "text": draw(said)})
        told.append({"who": "user", "text": draw(said)})
        if draw(st.booleans()):
            calls = [
                {"id": f"c{number}{at}", "name": draw(names), "input": draw(objects)}
                for at in range(draw(st.integers(0, 2)))
            ]
            thought = draw(st.none() | said)
            told.append(
                {"who": "assistant", "text": draw(said), "thought": thought, "calls": calls}
            )
            told += [{"who": "tool", "of": call["id"], "text": draw(said)} for call in calls]
    if told[-1]["who"] == "assistant":
        told.append({"who": "user", "text": draw(said)})
    return told


def _parts(draw: st.DrawFn, text: str, kind: str = "text") -> Any:
    """A text, or the same in parts."""
    return [{"type": kind, "text": text}] if draw(st.booleans()) else text


def _arguments(call: Json) -> str:
    return json.dumps(call["input"], ensure_ascii=False)


@st.composite
def chat_messages(draw: st.DrawFn, told: list[Json]) -> list[Json]:
    messages = []
    for turn in told:
        message: Json = {"role": turn["who"], "content": _parts(draw, turn["text"])}
        if turn["who"] == "system":
            message["role"] = draw(st.sampled_from(["system", "developer"]))
        if turn["who"] == "tool":
            message["tool_call_id"] = turn["of"]
        if turn.get("thought"):
            message["reasoning_content"] = turn["thought"]
        if turn.get("calls"):
            message["tool_calls"] = [
                {"id": call["id"], "type": "function"}
                | {"function": {"name": call["name"], "arguments": _arguments(call)}}
                for call in turn["calls"]
            ]
        messages.append(message)
    return messages


@st.composite
def responses_input(draw: st.DrawFn, told: list[Json]) -> list[Json]:
    items: list[Json] = []
    for turn in told:
        if turn["who"] == "tool":
            output = _parts(draw, turn["text"], "input_text")
            items.append({"type": "function_call_output", "call_id": turn["of"], "output": output})
            continue
        if thought := turn.get("thought"):
            kind = draw(
                st.sampled_from([("content", "reasoning_text"), ("summary", "summary_text")])
            )
            items.append({"type": "reasoning", kind[0]: [{"type": kind[1], "text": thought}]})
        kind_of = "output_text" if turn["who"] == "assistant" else "input_text"
        typed: Json = {"type": "message"} if draw(st.booleans()) else {}
        items.append(typed | {"role": turn["who"], "content": _parts(draw, turn["text"], kind_of)})
        for call in turn.get("calls") or ():
            called = {"type": "function_call", "call_id": call["id"], "name": call["name"]}
            items.append(called | {"arguments": _arguments(call)})
    return items


@st.composite
def anthropic_messages(draw: st.DrawFn, told: list[Json]) -> list[Json]:
    messages: list[Json] = []
    for turn in told:
        if turn["who"] == "tool":
            block: Json = {"type": "tool_result", "tool_use_id": turn["of"]}
            block["content"] = _parts(draw, turn["text"])
            if messages[-1]["role"] != "user":
                messages.append({"role": "user", "content": []})
            messages[-1]["content"].append(block)
            continue
        content: Any = _parts(draw, turn["text"])
        if turn.get("calls") or turn.get("thought"):
            thought = [{"type": "thinking", "thinking": turn["thought"], "signature": "x"}]
            content = (thought if turn["thought"] else []) + [
                {"type": "text", "text": turn["text"]}
            ]
            content += [{"type": "tool_use", **call} for call in turn["calls"]]
        messages.append({"role": turn["who"], "content": content})
    return messages


def meaning(messages: list[Json]) -> list[Json]:
    """The engine's messages in the plain words again."""
    told = []
    for message in messages:
        content = message.get("content") or ""
        text = content if isinstance(content, str) else "".join(part["text"] for part in content)
        turn: Json = {"who": message["role"], "text": text}
        if message["role"] == "tool":
            turn["of"] = message["tool_call_id"]
        if message["role"] == "assistant":
            turn["thought"] = message.get("reasoning_content")
            turn["calls"] = [
                {"id": call["id"], "name": call["function"]["name"]}
                | {"input": json.loads(call["function"]["arguments"])}
                for call in message.get("tool_calls") or ()
            ]
        told.append(turn)
    return told


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """The same with anything in one place."""
    places = (
        list(value)
        if isinstance(value, dict)
        else range(len(value) if isinstance(value, list) else 0)
    )
    if not places or not draw(st.integers(0, 3)):
        return draw(anything)
    place = draw(st.sampled_from(places))
    spoilt = draw(spoiled(value[place]))
    if isinstance(value, dict):
        left = {name: value[name] for name in value if name != place}
        return left if draw(st.integers(0, 4)) == 0 else left | {place: spoilt}
    return [*value[:place], spoilt, *value[place + 1 :]]

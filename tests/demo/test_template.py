"""The chat template and the training text are one format, DeepSeek-V3.1's."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from seekserve.demo.corpus import conversations
from seekserve.demo.dialogue import Conversation, Message, pieces

Render = Callable[..., str]
USER = {"role": "user", "content": "hi"}


def wire(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [message.wire(number) for number, message in enumerate(messages)]


def given(conversation: Conversation) -> dict[str, Any]:
    tools = list(conversation.tools) or None
    return {"tools": tools, "thinking": conversation.thinking}


def test_the_prompt_is_the_trained_text_up_to_the_reply(render: Render) -> None:
    for one in itertools.islice(conversations(11), 300):
        trained = list(pieces(one))
        prompt = render(wire(one.messages[:-1]), add_generation_prompt=True, **given(one))
        assert prompt == "".join(piece.text for piece in trained[:-1])


def test_history_is_the_trained_text_without_thoughts(render: Render) -> None:
    for one in itertools.islice(conversations(12), 300):
        silent = Conversation(one.messages, one.tools)
        whole = "".join(piece.text for piece in pieces(silent))
        assert render(wire(one.messages), **given(silent)) == whole


@pytest.mark.parametrize(("thinking", "end"), [(True, "<think>"), (False, "</think>")])
def test_thinking_is_switched_by_the_prompt(render: Render, thinking: bool, end: str) -> None:
    prompt = render([USER], add_generation_prompt=True, thinking=thinking)
    assert prompt.endswith("<｜User｜>hi<｜Assistant｜>" + end)


def test_thinking_is_off_unless_asked_for(render: Render) -> None:
    assert render([USER], add_generation_prompt=True).endswith("</think>")


@pytest.mark.parametrize("arguments", ['{"city": "Łódź"}', {"city": "Łódź"}])
def test_arguments_may_be_text_or_values(render: Render, arguments: object) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    text = render([USER, turn])
    assert '<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"city": "Łódź"}<｜tool▁call▁end｜>' in text
    assert text.endswith("<｜tool▁calls▁end｜><｜end▁of▁sentence｜>")


def test_content_may_come_in_parts(render: Render) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    text = render([{"role": "user", "content": parts}, {"role": "tool", "content": parts}])
    assert "<｜User｜>ab<｜tool▁output▁begin｜>ab<｜tool▁output▁end｜>" in text


def test_system_and_developer_go_to_the_front(render: Render) -> None:
    messages = [USER, {"role": "developer", "content": "B"}, {"role": "system", "content": "C"}]
    text = render([{"role": "system", "content": "A"}, *messages])
    assert text.startswith("<｜begin▁of▁sentence｜>A\n\nB\n\nC<｜User｜>")


def test_thoughts_of_earlier_turns_are_dropped(render: Render) -> None:
    turn = {"role": "assistant", "content": "yes", "reasoning_content": "deep", "reasoning": "deep"}
    assert "deep" not in render([USER, turn, USER])
    leaked = {"role": "assistant", "content": "deep</think>yes"}
    assert render([USER, leaked, USER]) == render([USER, turn, USER])


def test_a_tool_without_parameters_is_shown(render: Render) -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    assert "\n- now()<｜User｜>" in render([USER], tools=[tool])


def test_a_parameter_may_have_several_types(render: Render) -> None:
    schema = {"type": "object", "properties": {"x": {"type": ["string", "null"]}, "y": {}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert "- f(x: string|null, y: any)" in render([USER], tools=[json.loads(json.dumps(tool))])

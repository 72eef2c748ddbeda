"""/v1/responses, there and back: items to messages, a message to items."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response

from seekserve.dialect.responses import Responses, to_engine
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest
from seekserve.settings import Defaults

DEFAULTS = Defaults(
    max_tokens=100, max_tokens_thinking=100, temperature=0.5, top_p=0.9, thinking="enabled"
)
USAGE = {
    "prompt_tokens": 12,
    "total_tokens": 18,
    "completion_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
NOTHING = {"type": "object", "additionalProperties": False}
TOOL = {"type": "function", "name": "f", "parameters": NOTHING, "strict": True}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


def sent(asked: Any = "hi", window: int | None = None, **given: Any) -> dict[str, Any]:
    return to_engine({"model": "m", "input": asked} | given, Terms(DEFAULTS, window=window))


def refused(asked: Any = "hi", **given: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        sent(asked, **given)
    return caught.value


# Requests.


def test_a_text_and_instructions() -> None:
    body = sent("hi", instructions="be brief", max_output_tokens=7)
    assert body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (7, 0.5, 0.9)
    assert sent("hi", 50)["max_tokens"] == 50
    assert body["stream"] is False


def test_a_turn_of_the_assistant_is_one_message() -> None:
    parts = [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]
    items = [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
        {"type": "message", "role": "assistant", "content": parts},
        CALL,
        CALL | {"call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": parts},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
        {"role": "user", "content": "next"},
    ]
    *rest, turn, first, second, last = sent(items)["messages"]
    assert [said["role"] for said in rest] == ["system", "user"]
    assert (turn["role"], turn["reasoning_content"], turn["content"]) == ("assistant", "r", "ab")
    assert [call["id"] for call in turn["tool_calls"]] == ["c1", "c2"]
    assert turn["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert first == {"role": "tool", "tool_call_id": "c1", "content": "1"}
    assert second == {"role": "tool", "tool_call_id": "c2", "content": "ab"}
    assert last == {"role": "user", "content": "next"}


def test_two_turns_in_a_row_stay_two() -> None:
    said = {"role": "assistant", "content": "a"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]}
    assert sent([said, thought, said])["messages"] == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "reasoning_content": "s", "content": "a"},
    ]


def test_tools_are_nested_and_chosen() -> None:
    body = sent(tools=[TOOL], tool_choice={"type": "function", "name": "f"})
    function = {"name": "f", "parameters": NOTHING, "strict": True}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert sent(tools=[TOOL], tool_choice="required")["tool_choice"] == "required"
    assert not {"tools", "tool_choice"} & set(sent(tools=[], tool_choice="auto"))


def test_formats() -> None:
    schema = {"type": "object"}
    given = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    wanted = {"name": "n", "schema": schema, "strict": True}
    body = sent(text={"format": given})
    assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}
    body = sent(text={"format": {"type": "json_object"}})
    assert body["response_format"] == {"type": "json_object"}
    assert "response_format" not in sent(text={})


@pytest.mark.parametrize(
    ("effort", "thinks", "told"),
    [(None, True, None), ("none", False, None), ("medium", True, "high"), ("ultra", True, "max")],
)
def test_effort(effort: str | None, thinks: bool, told: str | None) -> None:
    body = sent(reasoning={"effort": effort, "summary": "auto"})
    assert body["chat_template_kwargs"]["thinking"] is thinks
    assert body.get("reasoning_effort") == told


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "x"}}, "conversation"),
        ({"prompt": {"id": "x"}}, "prompt"),
        ({"background": True}, "background"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"priority": 1}, "priority"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ],
)
def test_what_is_not_served_is_refused_by_name(given: dict[str, Any], param: str) -> None:
    error = refused(**given)
    assert error.param == param
    assert error.status == 400


def test_what_is_harmless_is_not() -> None:
    plain = sent()
    harmless: Any = {
        "store": True,
        "include": ["x"],
        "truncation": "auto",
        "user": "u",
        "made_up": 1,
    }
    asked: Any = {"previous_response_id": None, "background": False, "metadata": {"a": "b"}}
    assert sent(**harmless, **asked) == plain


def test_an_output_without_its_call() -> None:
    error = refused([{"type": "function_call_output", "call_id": "c9", "output": "1"}])
    assert error.param == "input.0.call_id"
    assert "not stored" in error.message


# Whole answers.


def answered(message: dict[str, Any], finish: str = "stop", **given: Any) -> Response:
    accent = Responses({"model": "m", "input": "hi"} | given, sent(**given), 1 << 20)
    choice = {"index": 0, "message": message, "finish_reason": finish}
    about = {"id": "chatcmpl-a-b", "created": 7, "model": "m", "usage": USAGE}
    return Response.model_validate(accent.answer(about | {"choices": [choice]}))


def test_a_whole_answer() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    said = {"role": "assistant", "reasoning": "r", "content": "t", "tool_calls": [call]}
    told = answered(said, "tool_calls", tools=[TOOL], metadata={"k": "v"}, instructions="i")
    assert (told.status, told.id, told.output_text) == ("completed", "resp_ab", "t")
    assert [item.type for item in told.output] == ["reasoning", "message", "function_call"]
    assert told.output[2].model_dump(exclude_none=True) == {
        "id": "fc_ab_2",
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"a":1}',
    }
    assert (told.metadata, told.instructions) == ({"k": "v"}, "i")
    assert told.usage is not None
    assert (told.usage.input_tokens, told.usage.output_tokens) == (12, 6)
    assert told.usage.input_tokens_details.cached_tokens == 8
    assert told.usage.output_tokens_details.reasoning_tokens == 3
    assert (told.temperature, told.to_dict()["store"]) == (0.5, False)
    assert told.tools[0].type == "function"


def test_an_answer_cut_short() -> None:
    told = answered({"reasoning": "r", "content": "t"}, "length")
    assert told.status == "incomplete"
    assert told.incomplete_details is not None
    assert told.incomplete_details.reason == "max_output_tokens"
    assert [getattr(item, "status", "") for item in told.output] == ["completed", "incomplete"]
    broken = answered({"content": "t"}, "abort")
    assert broken.status == "failed"
    assert broken.error is not None
    assert broken.error.code == "server_error"

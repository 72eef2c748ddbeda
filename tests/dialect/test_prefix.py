"""Answers that the client begins: which, and what the engine is asked for them, call by call."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect import anthropic, chat, prefix
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest, EngineBroke
from seekserve.manner import Manner
from seekserve.settings import Defaults, Limits

USER = {"role": "user", "content": "hi"}
ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
TOOL = {"type": "function", "function": {"name": "f"}}
SWITCHES = {on: {"thinking": on, "enable_thinking": on} for on in (True, False)}


def request(last: dict[str, Any], **more: Any) -> dict[str, Any]:
    begun = {"role": "assistant", "prefix": True} | last
    return {"model": "m", "messages": [USER, begun]} | more


def wanted(last: dict[str, Any], terms: Terms | None = None, **more: Any) -> dict[str, Any]:
    return chat.to_engine(request(last, **more), terms or Terms())


def walked(
    wanted: dict[str, Any], opening: str, terms: Terms | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The bodies asked for on the way, and the last; a token is a character."""
    steps, bodies = prefix.steps(wanted, terms or Terms()), []
    path, body = next(steps)
    try:
        while True:
            assert path == "/tokenize"
            bodies.append(body)
            text = body.get("prompt", opening)
            strs = list(text) if body.get("return_token_strs") else None
            told = {"count": len(text), "tokens": [ord(c) for c in text], "token_strs": strs}
            path, body = steps.send(told)
    except StopIteration as end:
        return bodies, end.value


def prompt(wanted: dict[str, Any], opening: str) -> str:
    return "".join(map(chr, walked(wanted, opening)[1]["prompt"]))


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([USER], False),
        ([USER, {"role": "assistant", "content": "a"}], False),
        ([USER, {"role": "assistant", "content": "a", "prefix": False}], False),
        ([USER, {"role": "assistant", "content": "a", "prefix": None}], False),
        ([USER, {"role": "assistant", "content": "a", "prefix": True}], True),
        ([USER, {"role": "assistant", "content": None, "prefix": True}], True),
        ([USER, {"role": "assistant", "content": "a", "prefix": True}, USER], "messages.1.prefix"),
        ([USER | {"prefix": True}], "messages.0.prefix"),
        ([{"role": "assistant", "content": "a", "prefix": True}], "messages"),
    ],
)
def test_which_are_begun(messages: list[dict[str, Any]], said: bool | str) -> None:
    given = {"model": "m", "messages": messages}
    if isinstance(said, bool):
        assert prefix.begun(given) is said
        return
    with pytest.raises(BadRequest) as refused:
        prefix.begun(given)
    assert refused.value.param == said


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"tools": [TOOL]}, True),
        ({"tools": [TOOL], "tool_choice": "auto"}, True),
        ({"tools": [TOOL], "tool_choice": "none"}, False),
        ({"tools": []}, False),
        ({"tools": None}, False),
    ],
)
def test_a_begun_answer_is_no_call(more: dict[str, Any], refused: bool) -> None:
    given = request({"content": "a"}, **more)
    if not refused:
        assert prefix.begun(given)
        return
    with pytest.raises(BadRequest) as caught:
        prefix.begun(given)
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("last", "opening", "thinks", "text"),
    [
        # The opening thinks: the answer stands behind the end of it.
        ({"content": "A"}, "Q<think>", ON, "Q<think></think>A"),
        ({"content": "A"}, "Q<think>\n", ON, "Q<think>\n</think>A"),
        ({"content": "A", "reasoning_content": "R"}, "Q<think>", ON, "Q<think>R</think>A"),
        ({"content": "", "reasoning_content": "R"}, "Q<think>", ON, "Q<think>R"),
        ({"content": None, "reasoning_content": "R"}, "Q<think>", ON, "Q<think>R"),
        ({"content": [], "reasoning_content": "R"}, "Q<think>", ON, "Q<think>R"),
        # It does not: then the answer is all there is.
        ({"content": "A"}, "Q</think>", OFF, "Q</think>A"),
        ({"content": "A", "reasoning_content": "R"}, "Q</think>", OFF, "Q</think>A"),
        ({"content": "", "reasoning_content": "R"}, "Q</think>", OFF, "Q</think>"),
        ({"content": "A"}, "Q<think></think>", OFF, "Q<think></think>A"),
        ({"content": "A"}, "Q<think>\n\n</think>\n\n", OFF, "Q<think>\n\n</think>\n\nA"),
        ({"content": "A"}, "<think><｜Assistant｜>", OFF, "<think><｜Assistant｜>A"),
        # Reasoning is gone on with where the model's own opening leaves it to the model to think.
        ({"content": "", "reasoning_content": "R"}, "Q", ON, "Q<think>R"),
        # In parts.
        ({"content": [{"type": "text", "text": t} for t in "AB"]}, "Q<think>", ON, "Q<think></think>AB"),
        ({"content": [{"type": "text", "text": t} for t in "AB"]}, "Q", OFF, "QAB"),
    ],
)  # fmt: skip
def test_where_the_answer_goes_on(last: Any, opening: str, thinks: Any, text: str) -> None:
    assert prompt(wanted(last, **thinks), opening) == text
    in_reasoning = text.rpartition("<think>")[2].find("</think>") < 0 and "<think>R" in text
    assert prefix.thinks_on(wanted(last, **thinks)) is in_reasoning


def test_what_is_rendered() -> None:
    asked = wanted({"content": "A"}, tools=[TOOL], tool_choice="none", reasoning_effort="max")
    (conversation, beginning), _ = walked(asked, "Q<think>")
    assert conversation == {
        "model": "m",
        "messages": [USER],
        "tools": [TOOL],
        "chat_template_kwargs": SWITCHES[True] | {"reasoning_effort": "max"},
        "return_token_strs": True,
    }
    assert beginning == {"model": "m", "prompt": "</think>A", "add_special_tokens": False}
    assert asked["chat_template_kwargs"] == SWITCHES[True], "the chat request is left as it was"


@pytest.mark.parametrize(
    ("last", "given", "default", "switches"),
    [
        ({"content": "A"}, {}, "engine", {}),
        ({"content": "A"}, OFF, "engine", SWITCHES[False]),
        ({"content": "A"}, {"reasoning_effort": "none"}, "enabled", SWITCHES[False]),
        ({"reasoning_content": "R"}, {}, "engine", SWITCHES[True]),
        ({"reasoning_content": "R"}, OFF, "enabled", SWITCHES[False]),
    ],
)
def test_switches(last: Any, given: Any, default: Any, switches: dict[str, bool]) -> None:
    (conversation, *_), _ = walked(wanted(last, Terms(Defaults(thinking=default)), **given), "Q")
    assert conversation["chat_template_kwargs"] == switches


def test_a_model_that_never_thinks_does_not_go_on_thinking() -> None:
    never = Terms(manner=Manner("f", thinking="never"))
    assert not prefix.thinks_on(wanted({"reasoning_content": "R"}, never))


def test_the_last_call_is_a_text_completion() -> None:
    more: dict[str, Any] = {
        "stop": ["x"],
        "n": 2,
        "temperature": 0.3,
        "thinking_token_budget": 5,
        "stream": True,
    }
    asked = wanted({"content": "A"}, user_id="u", parallel_tool_calls=True, **more)
    _, last = walked(asked, "Q<think>")
    assert last == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_salt": Terms().salt("u"),
        "temperature": 0.3,
        "top_p": 1.0,
        "max_tokens": 65536,
        "stop": ["x"],
        "n": 2,
        "thinking_token_budget": 5,
        "prompt": [ord(c) for c in "Q<think></think>A"],
    }


@pytest.mark.parametrize(
    ("more", "budget", "sent"),
    [
        (OFF, True, 100),
        (OFF | {"thinking_token_budget": 9}, True, 100),
        ({"thinking_token_budget": 9}, True, 9),
        ({"thinking_token_budget": 900}, True, 100),
        (ON, True, 100),
        (OFF, False, None),
    ],
)
def test_what_goes_on_thinking_has_the_cap_too(more: Any, budget: bool, sent: int | None) -> None:
    manner = Manner("f", thinking="hybrid", effort=False, budget=budget)
    terms = Terms(limits=Limits(thinking_tokens=100), manner=manner)
    _, last = walked(wanted({"content": "<think>"}, terms, **more), "Q", terms)
    assert last.get("thinking_token_budget") == sent


@pytest.mark.parametrize(
    ("more", "logprobs"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 3}, 3),
    ],
)
def test_logprobs_are_asked_for_in_the_other_words(more: Any, logprobs: int | None) -> None:
    _, last = walked(wanted({"content": "A"}, **more), "Q")
    assert last.get("logprobs") == logprobs
    assert "top_logprobs" not in last


@pytest.mark.parametrize("told", [{}, {"tokens": None}, {"tokens": "abc"}])
def test_an_engine_that_renders_nothing(told: dict[str, Any]) -> None:
    steps = prefix.steps(wanted({"content": "A"}), Terms())
    next(steps)
    steps.send({"tokens": [1], "token_strs": None})
    with pytest.raises(EngineBroke, match="render"):
        steps.send(told)


def test_a_message_of_anthropics_is_begun_alike() -> None:
    turns = [USER, {"role": "assistant", "content": [{"type": "text", "text": "A"}]}]
    given = {"model": "m", "max_tokens": 5, "messages": turns, "thinking": {"type": "disabled"}}
    asked = anthropic.to_engine(given, Terms())
    prefix.check(asked)
    assert prompt(asked, "Q</think>") == "Q</think>A"
    assert not prefix.thinks_on(asked)

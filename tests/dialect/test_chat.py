"""Chat completions, there and back: reasoning renamed, thinking switched, bounds kept."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from seekserve.dialect.chat import Chat, events, parsed, to_engine
from seekserve.dialect.terms import Terms
from seekserve.dialect.thinking import EFFORTS, thought
from seekserve.errors import BadRequest
from seekserve.settings import Defaults

DEFAULTS = Defaults(
    max_tokens=100,
    max_tokens_thinking=100,
    max_tokens_max_effort=100,
    temperature=0.5,
    top_p=0.9,
    thinking="enabled",
)
MESSAGES = [{"role": "user", "content": "hi"}]


def sent(window: int | None = None, defaults: Defaults = DEFAULTS, **given: Any) -> dict[str, Any]:
    return to_engine({"model": "m", "messages": MESSAGES} | given, Terms(defaults, window=window))


def event(delta: dict[str, Any], spaced: bool = False, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} | more
    marks = (", ", ": ") if spaced else (",", ":")
    told = {"id": "c", "choices": [choice], "model": "m"}
    return b"data: " + json.dumps(told, separators=marks).encode() + b"\n\n"


def delta(out: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(out.removeprefix(b"data: "))["choices"][0]["delta"]
    return told


TEXTS = [
    '"reasoning":',
    '"reasoning": null,',
    '"reasoning_content":""',
    '\\"reasoning":',
    ',"token_ids":null',
]
TEXTS += ['{"reasoning":"x"}', 'data: {"reasoning":""}\n\n', '"stop_reason":null', "\\", '"']


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_text_that_looks_like_a_key_survives(text: str, spaced: bool) -> None:
    assert delta(events(event({"content": text}, spaced))) == {"content": text}
    assert delta(events(event({"reasoning": text}, spaced))) == {"reasoning_content": text}


@pytest.mark.parametrize("spaced", [False, True])
def test_every_place_of_an_empty_reasoning(spaced: bool) -> None:
    keys: dict[str, Any] = {"role": "assistant", "content": "a", "tool_calls": [1]}
    for count in range(len(keys) + 1):
        for chosen in itertools.combinations(keys, count):
            for place, key, value in itertools.product(
                range(count + 1), ("reasoning", "reasoning_content"), (None, "")
            ):
                items = [(name, keys[name]) for name in chosen]
                given = dict([*items[:place], (key, value), *items[place:]])
                assert delta(events(event(given, spaced))) == dict(items), given


def test_both_names_at_once_stay_json() -> None:
    out = delta(events(event({"reasoning": None, "reasoning_content": None, "content": "a"})))
    assert out == {"content": "a"}
    assert delta(events(event({"content": "a", "reasoning": "", "reasoning_content": ""}))) == {
        "content": "a"
    }


def test_the_engines_nulls_are_left_out() -> None:
    data = event({"role": "assistant", "content": ""}, token_ids=None, stop_reason=None)
    data = data.replace(b'"model":"m"', b'"model":"m","prompt_token_ids":null,"prompt_text":null')
    out = events(data)
    for key in (b"token_ids", b"prompt_text", b"stop_reason"):
        assert key not in out
    assert delta(out) == {"role": "assistant", "content": ""}


MIXED = {"content": "42", "reasoning": "far."}  # as vLLM tells a step of several tokens


def read_as_documented(out: bytes) -> tuple[str, str, list[Any]]:
    """What DeepSeek's own example makes of a stream, and the finishes that it was told."""
    thought = content = ""
    finishes = []
    for one in (json.loads(e[6:]) for e in out.split(b"\n\n") if e and b"[DONE]" not in e):
        (choice,) = one["choices"]
        if choice["delta"].get("reasoning_content"):
            thought += choice["delta"]["reasoning_content"]
        else:
            content += choice["delta"]["content"]
        finishes.append(choice["finish_reason"])
    return thought, content, finishes


@pytest.mark.parametrize("spaced", [False, True])
def test_reasoning_and_content_never_share_an_event(spaced: bool) -> None:
    said = [
        {"role": "assistant", "content": ""},
        {"reasoning": "so "},
        MIXED,
        {"content": " it is"},
    ]
    out = events(b"".join(event(one, spaced) for one in said))
    assert read_as_documented(out) == ("so far.", "42 it is", [None] * 5)
    out = events(event(MIXED, spaced, stop_reason=None))
    assert out.count(b"data:") == 2 and out.endswith(b"\n\n") and b"stop_reason" not in out


@pytest.mark.parametrize("usage_last", [False, True])
def test_the_finish_comes_with_the_content(usage_last: bool) -> None:
    voice = Chat(usage_last).voice(True)
    out = voice.events(event(MIXED, finish_reason="length")) + voice.done()
    assert read_as_documented(out) == ("far.", "42", [None, "length"])


def test_each_has_its_own_log_probabilities() -> None:
    tokens = [{"token": word, "logprob": -1.0} for word in ("far.", "</think>", "42")]
    first, second = events(event(MIXED, logprobs={"content": tokens})).split(b"\n\n")[:2]
    told = [json.loads(one[6:])["choices"][0]["logprobs"] for one in (first, second)]
    assert told == [{"reasoning_content": tokens[:2]}, {"content": tokens[2:]}]
    first, second = events(event(MIXED, logprobs={"content": tokens[2:]})).split(b"\n\n")[:2]
    assert json.loads(first[6:])["choices"][0]["logprobs"] is None, "nobody can tell them apart"
    assert json.loads(second[6:])["choices"][0]["logprobs"] == {"content": tokens[2:]}


def test_what_is_not_a_delta_is_left_as_it_is() -> None:
    for odd in (
        b'data: {"reasoning_content":"a","content":"b"',
        b'data: {"reasoning_content":"a","content":"b"}',
    ):
        assert events(odd + b"\n\n") == odd + b"\n\n"


def test_bytes_and_values_agree() -> None:
    """Whether an event takes the way of bytes or is parsed, the client sees the same delta."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"reasoning": "r"},
        {"reasoning": None, "content": "c"},
        {"reasoning": "", "content": "c"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    for given in deltas:
        whole = parsed({"choices": [{"index": 0, "delta": given}]})["choices"][0]["delta"]
        assert delta(events(event(given))) == whole


def test_an_answer_holds_what_the_api_knows() -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "reasoning": "r",
        "tool_calls": [],
        "audio": None,
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "token_ids": None}
    answer = Chat().answer({"id": "i", "model": "m", "choices": [choice], "prompt_logprobs": None})
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "reasoning_content": "r"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert "prompt_logprobs" not in answer
    message["reasoning"] = None
    assert "reasoning_content" not in Chat().answer({"choices": [choice]})["choices"][0]["message"]


ON, OFF = {"type": "enabled"}, {"type": "disabled"}


@pytest.mark.parametrize(
    ("given", "default", "expected"),
    [
        ({}, "enabled", True),
        ({}, "disabled", False),
        ({}, "engine", None),
        ({"thinking": ON}, "disabled", True),
        ({"thinking": OFF}, "enabled", False),
        ({"thinking": OFF, "reasoning_effort": "high"}, "enabled", False),
        ({"reasoning_effort": "none"}, "enabled", False),
        ({"reasoning_effort": "minimal"}, "disabled", True),
        ({"reasoning_effort": "max"}, "engine", True),
        ({"chat_template_kwargs": {"thinking": False}}, "enabled", False),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "disabled", True),
        ({"chat_template_kwargs": {}}, "disabled", False),
        ({"chat_template_kwargs": {"thinking": None}}, "enabled", True),
        ({"thinking": ON, "chat_template_kwargs": {"thinking": False}}, "engine", True),
    ],
)
def test_thinking(given: dict[str, Any], default: str, expected: bool | None) -> None:
    assert thought(given, Terms(Defaults(thinking=default))).on is expected  # type: ignore[arg-type]
    asked = sent(defaults=Defaults(thinking=default), **given)  # type: ignore[arg-type]
    switches = {"thinking": expected, "enable_thinking": expected}
    assert asked.get("chat_template_kwargs") == (None if expected is None else switches)


def test_other_template_variables_are_refused() -> None:
    for thinks in (None, ON):
        with pytest.raises(BadRequest):
            sent(chat_template_kwargs={"chat_template": "x"}, thinking=thinks)


@pytest.mark.parametrize(("said", "meant"), EFFORTS.items())
def test_efforts_and_their_synonyms(said: str, meant: str) -> None:
    asked = sent(reasoning_effort=said)
    assert asked.get("reasoning_effort") == (None if meant == "none" else meant)
    assert "reasoning_effort" not in sent(reasoning_effort=said, thinking=OFF)


@pytest.mark.parametrize(
    ("given", "window", "most"),
    [
        ({}, None, 100),
        ({}, 50, 50),
        ({"max_tokens": 7}, 50, 7),
        ({"max_tokens": 999}, 50, 50),
        ({"max_tokens": 10**30}, 50, 50),
        ({"max_completion_tokens": 8}, None, 8),
        ({"max_completion_tokens": 8, "max_tokens": 9}, None, 8),
        ({"max_tokens": None}, None, 100),
    ],
)
def test_max_tokens(given: dict[str, Any], window: int | None, most: int) -> None:
    asked = sent(window, **given)
    assert asked["max_tokens"] == most
    assert "max_completion_tokens" not in asked


def test_defaults_are_explicit_and_choices_are_kept() -> None:
    assert (sent()["temperature"], sent()["top_p"]) == (0.5, 0.9)
    assert (sent(temperature=0)["temperature"], sent(top_p=0.1)["top_p"]) == (0, 0.1)
    assert sent(seed=None).get("seed", "absent") == "absent"


def test_no_tools_are_no_tools() -> None:
    asked = sent(tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(asked)
    tool = {"type": "function", "function": {"name": "f"}}
    assert sent(tools=[tool], tool_choice="auto")["tools"] == [tool]


def test_streams_always_count_and_private_fields_are_refused() -> None:
    assert sent(stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(stream=False)
    with pytest.raises(BadRequest):
        sent(priority=-1)


def test_messages_lose_their_nulls() -> None:
    messages = [{"role": "developer", "content": "d"}]
    messages += [{"role": "assistant", "content": None, "tool_calls": []}]  # type: ignore[dict-item]
    asked = sent(messages=messages)["messages"]
    assert asked[0] == {"role": "system", "content": "d"}
    assert "content" not in asked[1]

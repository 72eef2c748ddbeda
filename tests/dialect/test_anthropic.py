"""Anthropic's Messages: what reaches the engine, and what its answers and streams become."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from seekserve.dialect.anthropic import Count, Messages, to_count, to_engine
from seekserve.dialect.anthropic_answer import envelope, shape, usage
from seekserve.dialect.terms import Terms
from seekserve.errors import (
    BadRequest,
    EngineBroke,
    Forbidden,
    Internal,
    NotFound,
    QueueFull,
    Refusal,
    TooLarge,
    Unauthenticated,
)
from seekserve.gateway.sse import Tap
from seekserve.settings import Defaults

DEFAULTS = Defaults(
    max_tokens=100, max_tokens_thinking=100, temperature=0.5, top_p=0.9, thinking="engine"
)
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "é"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "4"}
COUNTS = {
    "prompt_tokens": 12,
    "completion_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def sent(messages: Any = "hi", window: int | None = None, **given: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    whole = {"model": "m", "max_tokens": 50, "messages": turns} | given
    return to_engine(whole, Terms(DEFAULTS, window=window))


def turns(*contents: Any, **given: Any) -> list[dict[str, Any]]:
    """What becomes of user and assistant turns, in turns."""
    roles = itertools.cycle(["user", "assistant"])
    asked = sent(
        [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)], **given
    )
    told: list[dict[str, Any]] = asked["messages"]
    return told


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stream": False}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.3, "top_k": 5}, {"top_p": 0.3, "top_k": 5}),
        ({"stop_sequences": ["x", "y"]}, {"stop": ["x", "y"]}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            {"chat_template_kwargs": {"thinking": True, "enable_thinking": True}},
        ),
        (
            {"thinking": {"type": "disabled"}},
            {"chat_template_kwargs": {"thinking": False, "enable_thinking": False}},
        ),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            {
                "chat_template_kwargs": {"thinking": True, "enable_thinking": True},
                "reasoning_effort": "high",
            },
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"a": 1}, "strict": True},
                }
            },
        ),
        (
            {"tools": [TOOL | {"cache_control": {}}], "tool_choice": {"type": "any"}},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "d",
                            "parameters": {"type": "object"},
                        },
                    }
                ],
                "tool_choice": "required",
            },
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
        ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            },
            {
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_fields(given: dict[str, Any], expected: dict[str, Any]) -> None:
    asked = sent(**given)
    assert {key: asked.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": {"user_id": None}},
        {"container": "c"},
        {"mcp_servers": []},
        {"service_tier": "auto"},
        {"context_management": {"edits": []}},
        {"cache_control": {"type": "ephemeral"}},
        {"tools": []},
        {"stop_sequences": []},
        {"top_k": None},
    ],
)
def test_what_is_accepted_without_effect(given: dict[str, Any]) -> None:
    assert sent(**given) == sent()


def test_the_window_bounds_what_is_asked_for() -> None:
    assert sent(window=20)["max_tokens"] == 20


def test_systems() -> None:
    blocks = [
        {"type": "text", "text": "x-anthropic-billing-header: 1"},
        {"type": "text", "text": "a", "cache_control": {}},
        {"type": "text", "text": "b"},
    ]
    assert sent(system="s")["messages"][0] == {"role": "system", "content": "s"}
    assert sent(system=blocks)["messages"][0] == {"role": "system", "content": "a\nb"}
    assert sent(system="")["messages"] == sent()["messages"]
    within = [{"role": "user", "content": "u"}, {"role": "system", "content": "s"}]
    within.append({"role": "user", "content": "v"})
    assert [m["role"] for m in sent(within)["messages"]] == ["user", "system", "user"]


def test_texts_of_a_turn() -> None:
    two = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    told = turns(two, two, "c")
    assert [turn["content"] for turn in told] == ["a\nb", "ab", "c"]


def test_tool_results_follow_their_calls_in_order() -> None:
    second = {"type": "tool_result", "tool_use_id": "t2", "is_error": True}
    second["content"] = [{"type": "text", "text": "no"}]
    told = turns(
        "q",
        [{"type": "text", "text": "see"}, USE, USE | {"id": "t2", "input": {}}],
        [{"type": "text", "text": "go on"}, RESULT, second],
        tools=[TOOL],
    )
    call = {"type": "function", "function": {"name": "f", "arguments": '{"a": "é"}'}}
    empty = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert told[1:] == [
        {
            "role": "assistant",
            "content": "see",
            "tool_calls": [{"id": "t1"} | call, {"id": "t2"} | empty],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "4"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no"},
        {"role": "user", "content": "go on"},
    ]


def test_a_result_of_nothing_is_empty() -> None:
    told = turns("q", [USE], [{"type": "tool_result", "tool_use_id": "t1"}])
    assert told[-1] == {"role": "tool", "tool_call_id": "t1", "content": ""}


def test_thinking_goes_back_where_there_are_tools() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "any thing"}
    hidden = {"type": "redacted_thinking", "data": "xx"}
    said = [thought, hidden, thought, {"type": "text", "text": "a"}]
    assert turns("q", said, "r")[1] == {"role": "assistant", "content": "a"}
    assert turns("q", said, "r", tools=[TOOL])[1]["reasoning_content"] == "hmhm"


def test_anothers_web_search_stays_in_the_conversation() -> None:
    found = [{"type": "web_search_result", "title": "T", "url": "u"}]
    told = turns(
        "q",
        [
            USE | {"type": "server_tool_use"},
            {"type": "web_search_tool_result", "tool_use_id": "t1", "content": found},
            {"type": "text", "text": "so"},
        ],
        "r",
    )
    assert [turn["role"] for turn in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert json.loads(told[2]["content"]) == found


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages.0"),
        ({"messages": [{"role": "assistant", "content": [USE, RESULT]}]}, "messages.0"),
        ({"messages": [{"role": "system", "content": [USE]}]}, "messages.0"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"name": "f"}]}, "tools.0"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"priority": 3}, "priority"),
        ({"chat_template": "x"}, "chat_template"),
    ],
)
def test_what_is_refused(given: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        sent(given.pop("messages", "hi"), **given)
    assert refused.value.param == param


def test_counting_asks_for_the_same_prompt() -> None:
    given: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "u"}]}
    given |= {"tools": [TOOL], "thinking": {"type": "disabled"}}
    counted, asked = to_count(given, Terms(DEFAULTS)), to_engine(given, Terms(DEFAULTS))
    assert counted == {key: asked[key] for key in counted}
    assert set(counted) == {"model", "messages", "tools", "chat_template_kwargs"}
    assert Count("m").answer({"count": 7}) == {"input_tokens": 7}
    with pytest.raises(EngineBroke):
        Count("m").answer({})


# Whole answers.


def answered(said: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant"} | said, "finish_reason": finish} | more
    told = {"id": "chatcmpl-9", "model": "engine", "choices": [choice], "usage": COUNTS}
    return Messages("claude-x").answer(told)


def call(number: int, arguments: str) -> dict[str, Any]:
    function = {"name": f"f{number}", "arguments": arguments}
    return {"id": f"t{number}", "type": "function", "index": number, "function": function}


def test_a_whole_answer() -> None:
    calls = [
        call(0, '{"a":[1]}'),
        call(1, ""),
        call(2, '{"cut'),
        call(3, "[1]"),
        call(4, '{"x":1e999}'),
    ]
    told = answered({"reasoning": "r", "content": "c", "tool_calls": calls}, "tool_calls")
    signed = told["content"][0].pop("signature")
    assert signed
    assert told == {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "r"},
            {"type": "text", "text": "c"},
            {"type": "tool_use", "id": "t0", "name": "f0", "input": {"a": [1]}},
            {"type": "tool_use", "id": "t1", "name": "f1", "input": {}},
            {"type": "tool_use", "id": "t2", "name": "f2", "input": {"INVALID_JSON": '{"cut'}},
            {"type": "tool_use", "id": "t3", "name": "f3", "input": {"INVALID_JSON": "[1]"}},
            {
                "type": "tool_use",
                "id": "t4",
                "name": "f4",
                "input": {"INVALID_JSON": '{"x":1e999}'},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "cache_read_input_tokens": 8,
            "cache_creation_input_tokens": 0,
            "output_tokens": 6,
            "output_tokens_details": {"thinking_tokens": 3},
        },
    }


@pytest.mark.parametrize(
    ("finish", "stop", "calls", "reason", "sequence"),
    [
        ("stop", None, 0, "end_turn", None),
        ("stop", 151643, 0, "end_turn", None),
        ("stop", "END", 0, "stop_sequence", "END"),
        ("stop", None, 1, "tool_use", None),
        ("tool_calls", None, 1, "tool_use", None),
        ("length", None, 0, "max_tokens", None),
        ("length", None, 1, "max_tokens", None),
        ("repetition", None, 0, "max_tokens", None),
        ("content_filter", None, 0, "refusal", None),
        ("something new", None, 0, "end_turn", None),
    ],
)
def test_stop_reasons(
    finish: str, stop: Any, calls: int, reason: str, sequence: str | None
) -> None:
    said = {"content": "c", "tool_calls": [call(n, "{}") for n in range(calls)]}
    told = answered(said, finish, stop_reason=stop)
    assert (told["stop_reason"], told["stop_sequence"]) == (reason, sequence)
    events = [{"content": "c"}, *({"tool_calls": [c]} for c in said["tool_calls"])]
    ended = spoken(stream(*events, finish=finish, stop=stop))[-2][1]
    assert ended["delta"] == {"stop_reason": reason, "stop_sequence": sequence}


def test_an_answer_the_engine_gave_up_on_is_an_error() -> None:
    for finish in ("abort", "error"):
        with pytest.raises(EngineBroke):
            answered({"content": "c"}, finish)
        assert spoken(stream({"content": "c"}, finish=finish))[-1][0] == "error"
    with pytest.raises(EngineBroke):
        Messages("m").answer({"choices": []})


def test_usage_without_details() -> None:
    assert usage({"prompt_tokens": 5})["input_tokens"] == 5
    assert usage({})["output_tokens"] == 0


# Streams.

ROLE = {"role": "assistant", "content": ""}


def event(delta: Any, spaced: bool = False, finish: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish} | more
    told = {"id": "chatcmpl-9", "object": "c", "choices": [choice], "model": "m"}
    return data(told, spaced)


def data(told: Any, spaced: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    return b"data: " + json.dumps(told, separators=marks).encode() + b"\n\n"


def stream(*deltas: Any, spaced: bool = False, finish: str = "stop", stop: Any = None) -> bytes:
    """An engine's stream with these deltas."""
    return b"".join(
        [
            event(ROLE, spaced, prompt_token_ids=None),
            *(event(delta, spaced, token_ids=None) for delta in deltas),
            event({"content": ""}, spaced, finish, stop_reason=stop, token_ids=None),
            data({"id": "chatcmpl-9", "choices": [], "usage": COUNTS}, spaced),
            b"data: [DONE]\n\n",
        ]
    )


def tap() -> Tap:
    return Tap(Messages("claude-x").voice(True), lambda: 0.0)


def parsed(out: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Events by name and content; the names agree."""
    events = []
    for text in out.decode().split("\n\n")[:-1]:
        name, _, body = text.partition("\n")
        told = json.loads(body.removeprefix("data: "))
        assert name == f"event: {told['type']}"
        events.append((told["type"], told))
    return events


def spoken(told: bytes) -> list[tuple[str, dict[str, Any]]]:
    return parsed(tap().feed(told))


def blocks(events: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """Each content block as its type, its deltas' types with runs told once, and its joined text."""
    found: list[list[str]] = []
    is_open = False
    for name, told in events:
        if name == "content_block_start":
            assert not is_open
            assert told["index"] == len(found)
            found.append([told["content_block"]["type"]])
            is_open = True
        elif name == "content_block_delta":
            assert is_open
            assert told["index"] == len(found) - 1
            delta = dict(told["delta"])
            kind = delta.pop("type")
            if len(found[-1]) < 3 or found[-1][-2] != kind:
                found[-1] += [kind, ""]
            found[-1][-1] += "".join(delta.values())
        elif name == "content_block_stop":
            assert is_open
            assert told["index"] == len(found) - 1
            is_open = False
    assert not is_open
    return found


def pieces(number: int, arguments: str) -> list[dict[str, Any]]:
    """A tool call as vLLM streams it."""
    parts = [arguments[at : at + 3] for at in range(0, len(arguments), 3)]
    told = [call(number, "")] + [{"index": number, "function": {"arguments": p}} for p in parts]
    return [{"tool_calls": [piece]} for piece in told]


ODD = [
    'say "hi"\n',
    "tab\t\\ back",
    "é世界🐳",
    '"content":"',
    'data: [DONE]\n\n"usage"',
    "\u2028",
    "}",
]


@pytest.mark.parametrize("spaced", [False, True])
def test_the_whole_sequence(spaced: bool) -> None:
    arguments = json.dumps({"q": 'a "quote"', "n": 1})
    told = stream(
        *({"reasoning": text} for text in ["so ", *ODD]),
        *({"content": text} for text in ["well ", *ODD]),
        *pieces(0, arguments),
        *pieces(1, ""),
        {"content": "after"},
        {"content": " all"},
        spaced=spaced,
        finish="tool_calls",
    )
    events = spoken(told)
    assert [name for name, _ in events[:2]] == ["message_start", "ping"]
    opening = events[0][1]["message"]
    assert (opening["id"], opening["model"], opening["content"]) == ("msg_9", "claude-x", [])
    assert opening["usage"]["input_tokens"] == 0
    thinking, text, first, second, after = blocks(events)
    assert thinking[:3] == ["thinking", "thinking_delta", "so " + "".join(ODD)]
    assert thinking[3] == "signature_delta" and thinking[4]
    assert text == ["text", "text_delta", "well " + "".join(ODD)]
    assert first == ["tool_use", "input_json_delta", arguments]
    assert second == ["tool_use"]
    assert after == ["text", "text_delta", "after all"]
    starts = [told["content_block"] for name, told in events if name == "content_block_start"]
    assert starts[2] == {"type": "tool_use", "id": "t0", "name": "f0", "input": {}}
    assert [name for name, _ in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2][1]["usage"] == usage(COUNTS)


def test_the_stream_and_the_whole_answer_agree() -> None:
    whole = answered({"reasoning": "r", "content": "c"})["content"]
    events = spoken(stream({"reasoning": "r"}, {"content": "c"}))
    assert blocks(events)[0] == [
        "thinking",
        "thinking_delta",
        "r",
        "signature_delta",
        whole[0]["signature"],
    ]


MIXED = stream(
    {"reasoning": "a"},
    {"reasoning": 'b"'},
    {"reasoning": None, "content": "c"},
    {"content": "d"},
    *pieces(0, '{"x":1}'),
    {"content": "e"},
    {"reasoning": "f", "content": "g"},
    {"content": "h"},
)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_any_cut_gives_the_same_events(newline: bytes) -> None:
    expected = tap().feed(MIXED)
    told = MIXED.replace(b"\n", newline)
    for cut in range(len(told) + 1):
        one = tap()
        assert one.feed(told[:cut]) + one.feed(told[cut:]) == expected, cut
        assert one.done
    for size in (1, 7, 100):
        one = tap()
        parts = [told[at : at + size] for at in range(0, len(told), size)]
        assert b"".join(one.feed(part) for part in parts) == expected


def test_any_grouping_of_events_gives_the_same_events() -> None:
    """The tap knows deltas again that came alone: a block's end must make it forget."""
    expected = tap().feed(MIXED)
    items = [item + b"\n\n" for item in MIXED.split(b"\n\n")[:-1]]
    for breaks in itertools.product([False, True], repeat=12):
        one, out, waiting = tap(), b"", b""
        for place, item in enumerate(items):
            waiting += item
            if place >= len(breaks) or breaks[place]:
                out += one.feed(waiting)
                waiting = b""
        assert out + one.feed(waiting) == expected, breaks


def test_plain_deltas_are_not_shown_to_the_voice() -> None:
    one = tap()
    one.feed(event(ROLE) + event({"content": "a"}, token_ids=None))
    one._voice = None  # type: ignore[assignment]
    for text in ("b", "c\\", "d\n", "é"):
        out = one.feed(event({"content": text}, token_ids=None))
        assert parsed(out)[0][1]["delta"] == {"type": "text_delta", "text": text}


def test_an_error_mid_stream() -> None:
    voice = Messages("m").voice(True)
    out = voice.events(event(ROLE) + event({"content": "a"})) + voice.failed(EngineBroke("no"))
    assert parsed(out)[-1] == (
        "error",
        {"type": "error", "error": {"type": "api_error", "message": "no"}},
    )


def test_a_silence_is_bridged_by_pings_once_the_message_began() -> None:
    voice = Messages("m").voice(True)
    assert voice.silence().startswith(b":")
    voice.events(event(ROLE))
    assert parsed(voice.silence()) == [("ping", {"type": "ping"})]


@pytest.mark.parametrize(
    "odd",
    [b"data: nothing\n\n", b"data: [1]\n\n", b'data: {"choices":["no"]}\n\n', b": comment\n\n"]
    + [event(d) for d in ("x", {"tool_calls": "x"}, {"tool_calls": ["x"]}, {"content": 5})]
    + [event({"tool_calls": [{"index": [], "function": 3}]}), event({}, stop_reason=[])],
)
def test_odd_events_do_no_harm(odd: bytes) -> None:
    out = tap().feed(event(ROLE) + event({"content": "a"}) + odd + stream({"content": "b"}))
    assert b'"text":"b"' in out and out.endswith(b'{"type":"message_stop"}\n\n')


def test_an_empty_stream_is_a_whole_message() -> None:
    assert [name for name, _ in spoken(b"data: [DONE]\n\n")] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]
    joined = data({"id": "chatcmpl-9", "choices": [], "usage": COUNTS}) + b"data: [DONE]\n\n"
    assert spoken(joined)[0][1]["message"]["id"] == "msg_9"


# Errors.


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (Forbidden("x"), "permission_error"),
        (NotFound("x"), "not_found_error"),
        (TooLarge("x"), "request_too_large"),
        (QueueFull("x"), "overloaded_error"),
        (Internal("x"), "api_error"),
        (EngineBroke("x"), "api_error"),
    ],
)
def test_errors(refusal: Refusal, kind: str) -> None:
    assert json.loads(envelope(refusal, "id")) == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "id",
    }


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/v1/messages", True),
        ("/v1/messages/count_tokens", True),
        ("/anthropic/v1/messages", True),
        ("/anthropic/anything", True),
        ("/v1/messagesx", False),
        ("/v1/chat/completions", False),
        ("/anthropicx", False),
    ],
)
def test_whose_errors_are_told_so(path: str, ours: bool) -> None:
    assert shape(path) == (envelope if ours else None)

"""Why an answer ended and how sure it was, in every dialect's words; and usage with the last choice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seekserve.dialect import chat, completions
from seekserve.dialect.anthropic_answer import stopped
from seekserve.dialect.finish import finish, in_bytes
from seekserve.dialect.logprobs import of_completion, told_apart
from seekserve.dialect.responses_shape import ending
from seekserve.errors import EngineBroke
from seekserve.gateway.sse import Tap

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
GIVEN_UP = ("abort", "aborted", "error", "insufficient_system_resource")


def sse(told: Any, spaced: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    return b"data: " + json.dumps(told, separators=marks).encode() + b"\n\n"


def event(delta: Any, finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish} | more
    return {"id": "c", "choices": [choice], "model": "m"}


COUNTS = {"id": "c", "choices": [], "usage": USAGE}
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("abort", "insufficient_system_resource"),
        ("repetition", "length"),
        ("something new", "something new"),
        (None, None),
        (7, 7),
        ({}, {}),
    ],
)
def test_chats_words(said: Any, told: Any) -> None:
    assert finish(said) == told
    for spaced in (False, True):
        marks = (", ", ": ") if spaced else (",", ":")
        data = json.dumps({"finish_reason": said}, separators=marks).encode()
        assert json.loads(in_bytes(data)) == {"finish_reason": told}
        out = Tap(chat.Chat().voice(True), lambda: 0.0).feed(sse(event({}, said), spaced))
        assert json.loads(out[6:])["choices"][0]["finish_reason"] == told
    for accent in (chat.Chat(), completions.Completions()):
        answer = accent.answer({"choices": [{"finish_reason": said}]})
        assert answer["choices"][0]["finish_reason"] == told


def test_a_text_that_names_a_reason_is_left_alone() -> None:
    told = event({"content": '"finish_reason":"abort"'}, "repetition")
    choice = json.loads(chat.events(sse(told))[6:])["choices"][0]
    assert choice["delta"]["content"] == '"finish_reason":"abort"'
    assert choice["finish_reason"] == "length"


@pytest.mark.parametrize("said", ["length", "repetition"])
def test_a_cut_is_a_cut_in_all_dialects(said: str) -> None:
    assert finish(said) == "length"
    assert stopped(said, None, False) == ("max_tokens", None)
    assert ending(said)["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("said", GIVEN_UP)
def test_an_answer_given_up_is_a_failure_where_there_is_a_word_for_it(said: str) -> None:
    with pytest.raises(EngineBroke):
        stopped(said, None, False)
    assert ending(said)["status"] == "failed"


# Log-probabilities.


def tokens(*texts: str) -> list[dict[str, Any]]:
    return [{"token": text, "logprob": -1.0} for text in texts]


@pytest.mark.parametrize(
    ("made", "thought", "answered", "reasoning", "content"),
    [
        ("ab", False, True, None, "ab"),
        ("a|b", False, True, None, "a|b"),
        ("ab|cd", True, True, "ab|", "cd"),
        ("ab|", True, False, "ab|", ""),
        ("ab", True, False, "ab", ""),
        ("a|b|c", True, True, "a|", "b|c"),
        ("ab", True, True, "", "ab"),  # the engine leaves the mark out: nobody can tell
    ],
)
def test_told_apart(
    made: str, thought: bool, answered: bool, reasoning: str | None, content: str
) -> None:
    given = tokens(*("</think>" if c == "|" else c for c in made))
    told = told_apart({"content": given}, thought, answered)
    size = len(reasoning or "")
    assert told.get("reasoning_content") == (None if reasoning is None else given[:size])
    assert told["content"] == (given[size:] or None)
    assert len(given[size:]) == len(content)


@pytest.mark.parametrize("odd", [None, "x", [], {}, {"content": None}, {"content": "x"}])
def test_what_is_none_stays_as_it_is(odd: Any) -> None:
    assert told_apart(odd, True, True) == odd


def test_those_of_a_whole_answer() -> None:
    message = {"role": "assistant", "reasoning": "a", "content": "b"}
    given = {"content": tokens("a", "</think>", "b")}
    answer = chat.Chat().answer({"choices": [{"message": message, "logprobs": given}]})
    told = answer["choices"][0]["logprobs"]
    assert [len(told[key]) for key in ("reasoning_content", "content")] == [2, 1]


@pytest.mark.parametrize("finish", [None, "length"])
@pytest.mark.parametrize("usage", [None, USAGE])
@pytest.mark.parametrize("usage_last", [False, True])
@pytest.mark.parametrize(
    ("delta", "key"),
    [
        ({"reasoning": "r"}, "reasoning_content"),
        ({"reasoning_content": "r"}, "reasoning_content"),
        ({"content": "c"}, "content"),
        ({"role": "assistant", "content": ""}, "content"),
        ({}, "content"),
    ],
)
def test_those_of_a_stream(delta: Any, key: str, usage: Any, finish: Any, usage_last: bool) -> None:
    """Whether the event takes the way of bytes or is parsed."""
    told = event(delta, finish, logprobs={"content": tokens("t")})
    data = sse(told | ({"usage": usage} if usage else {})) + DONE
    out = Tap(chat.Chat(usage_last).voice(True), lambda: 0.0).feed(data)
    found = json.loads(out.split(b"\n\n")[0][6:])["choices"][0]["logprobs"]
    assert {name: value for name, value in found.items() if value} == {key: tokens("t")}


def test_a_completions_form_into_chats() -> None:
    given = {"tokens": ["é", "b"], "token_logprobs": [None, -2.0], "top_logprobs": [None]}
    assert of_completion(given) == {
        "content": [
            {"token": "é", "logprob": None, "bytes": [195, 169], "top_logprobs": []},
            {"token": "b", "logprob": -2.0, "bytes": [98], "top_logprobs": []},
        ]
    }
    assert of_completion(None) is None
    assert of_completion({"tokens": None}) == {"content": []}


# Usage with the last choice.


def last(accent: Any, *parts: Any, show: bool = False) -> list[dict[str, Any]]:
    """A stream's events, the same however they were cut."""
    data = b"".join(sse(part) for part in parts) + DONE
    out = Tap(accent.voice(show), lambda: 0.0).feed(data)
    for size in (1, 7, 60):
        tap = Tap(accent.voice(show), lambda: 0.0)
        assert b"".join(tap.feed(data[i : i + size]) for i in range(0, len(data), size)) == out
    assert out.endswith(DONE)
    return [json.loads(part[6:]) for part in out.split(b"\n\n")[:-2]]


@pytest.mark.parametrize("show", [False, True])
def test_usage_with_the_finish(show: bool) -> None:
    parts = (event({"content": "a"}), event({"content": "b"}), event({"content": ""}, "stop"))
    told = last(chat.Chat(usage_last=True), *parts, COUNTS, show=show)
    assert [one.get("usage", {}).get("total_tokens") for one in told] == [None, None, 8]
    assert told[-1]["usage"]["prompt_cache_miss_tokens"] == 5
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
    assert [one["choices"][0]["delta"].get("content") for one in told[:2]] == ["a", "b"]


def test_the_last_of_two_choices_tells_it() -> None:
    parts = [event({"content": "a"}, index=n) for n in (0, 1)] + [event({}, "length", 1)]
    parts += [event({"content": "b"}, index=0), event({}, "repetition", 0), COUNTS]
    told = last(chat.Chat(usage_last=True), *parts)
    ends = [(c["index"], c["finish_reason"]) for one in told for c in one["choices"]]
    assert sorted(ends, key=str) == sorted(
        [(0, None), (1, None), (0, None), (1, "length"), (0, "length")], key=str
    )
    assert ends[-1] == (0, "length")
    assert ["usage" in one for one in told] == [False] * 4 + [True]


def test_an_engine_that_tells_no_usage() -> None:
    told = last(chat.Chat(usage_last=True), event({"content": "a"}), event({}, "stop"))
    assert [one["choices"][0]["finish_reason"] for one in told] == [None, "stop"]
    assert "usage" not in told[-1]


@pytest.mark.parametrize("show", [False, True])
def test_usage_without_a_finish(show: bool) -> None:
    told = last(chat.Chat(usage_last=True), event({"content": "a"}), COUNTS, show=show)
    assert ["usage" in one for one in told] == ([False, True] if show else [False])


def test_completions_alike() -> None:
    def piece(text: str, finish: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "text": text, "finish_reason": finish}]}

    told = last(completions.Completions(True), piece("a"), piece("b", "abort"), COUNTS)
    assert [one["choices"][0]["text"] for one in told] == ["a", "b"]
    assert told[-1]["choices"][0]["finish_reason"] == "insufficient_system_resource"
    assert told[-1]["usage"]["total_tokens"] == 8


def test_a_failure_before_the_usage_is_told() -> None:
    tap = Tap(chat.Chat(usage_last=True).voice(True), lambda: 0.0)
    out = tap.feed(sse(event({"content": "a"})) + sse(event({}, "stop")) + sse({"error": "no"}))
    assert tap.broke is not None
    assert out.count(b"data: ") == 1

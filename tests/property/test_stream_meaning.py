"""Nothing that an engine says is lost, doubled or told as something else, in any of the voices."""

from __future__ import annotations

import json
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.sequences import messages_blocks, responses_items
from tests.property.streams import USAGE, Json, Stream, chats, joined_calls, plain
from tests.property.voices import fed, heard

FINISHES = {"repetition": "length"}
STOPS = {"length": "max_tokens", "repetition": "max_tokens", "tool_calls": "tool_use"}


def events(kind: str, stream: Stream) -> list[Json]:
    return heard(fed(kind, stream.parts))


def of_choice(told: list[Json], index: int) -> list[Json]:
    return [c for event in told for c in event["choices"] if c["index"] == index]


def blocks(stream: Stream) -> list[tuple[str, str]]:
    """What an engine says as runs of one kind: (thinking | text | name of a call, text)."""
    runs: list[tuple[str, str]] = []
    for delta in stream.said[0]:
        runs += [(kind, delta[kind]) for kind in ("reasoning", "content") if delta.get(kind)]
        for piece in delta.get("tool_calls") or ():
            runs.append((f"f{piece['index']}", piece["function"]["arguments"]))
    grouped = groupby(runs, key=lambda run: run[0])
    return [(kind, "".join(text for _, text in run)) for kind, run in grouped]


@pytest.mark.parametrize(
    ("kind", "choices"), [("chat", 1), ("chat of two", 2), ("usage last of two", 2)]
)
@given(data=st.data())
def test_chat_is_told_whole(kind: str, choices: int, data: st.DataObject) -> None:
    stream = data.draw(chats(choices))
    told = events(kind, stream)
    assert len({(event["id"], event["created"], event["model"]) for event in told}) == 1
    for index in range(choices):
        said = of_choice(told, index)
        deltas = [choice["delta"] for choice in said]
        assert all("reasoning" not in delta for delta in deltas)
        thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
        assert thought == stream.joined("reasoning", index)
        content = "".join(delta.get("content", "") for delta in deltas)
        assert content == stream.joined("content", index)
        assert joined_calls(deltas) == stream.calls(index)
        assert all(isinstance(json.loads(args), dict) for *_, args in joined_calls(deltas))
        ends = [choice["finish_reason"] for choice in said if choice["finish_reason"]]
        assert ends == [FINISHES.get(stream.finish, stream.finish)]
        assert said[-1]["finish_reason"]


@given(stream=chats(2))
def test_usage_stands_in_one_event_the_last(stream: Stream) -> None:
    for kind, own in (("chat of two", True), ("usage last of two", False)):
        told = events(kind, stream)
        counted = [event for event in told if event.get("usage")]
        assert counted == told[-1:]
        assert (counted[0]["choices"] == []) is own
        assert counted[0]["usage"].items() >= USAGE.items()
    assert not [e for e in events("chat without usage", stream) if "usage" in e]


@given(stream=chats(logprobs=True))
def test_log_probabilities_stand_with_what_they_are_of(stream: Stream) -> None:
    told = of_choice(events("chat with logprobs", stream), 0)
    for ours, theirs in (("reasoning_content", "reasoning"), ("content", "content")):
        tokens = [t for c in told for t in (c["logprobs"] or {}).get(ours) or ()]
        texts = [delta[theirs] for delta in stream.said[0][:-1] if delta.get(theirs)]
        assert [token["token"] for token in tokens] == texts


@pytest.mark.parametrize("kind", ["completions", "continued"])
@given(stream=plain(choices=2))
def test_texts_are_told_whole(kind: str, stream: Stream) -> None:
    told = events(kind, stream)
    for index in (0, 1):
        said = of_choice(told, index)
        parts = [c["text"] if "text" in c else c["delta"].get("content", "") for c in said]
        assert "".join(parts) == stream.joined("text", index)
        assert [c["finish_reason"] for c in said if c["finish_reason"]] == [stream.finish]


@given(stream=plain(thinks=True))
def test_a_begun_thought_ends_where_the_model_ends_it(stream: Stream) -> None:
    thought, _, content = stream.joined("text").partition("</think>")
    said = of_choice(events("continued thinking", stream), 0)
    deltas = [choice["delta"] for choice in said]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == thought
    assert "".join(delta.get("content", "") for delta in deltas) == content
    assert said[-1]["finish_reason"] == stream.finish
    runs = [(kind, text) for kind, text in (("reasoning", thought), ("content", content)) if text]
    assert messages_blocks(events("begun thinking", stream)) == runs


@settings(max_examples=120)
@given(stream=chats())
def test_responses_are_a_well_formed_sequence(stream: Stream) -> None:
    told = events("responses", stream)
    assert responses_items(told) == blocks(stream)
    cut = FINISHES.get(stream.finish, stream.finish) == "length"
    assert told[-1]["type"] == f"response.{'incomplete' if cut else 'completed'}"
    assert told[-1]["response"]["usage"]["output_tokens"] == USAGE["completion_tokens"]


@settings(max_examples=120)
@given(stream=chats())
def test_messages_are_a_well_formed_sequence(stream: Stream) -> None:
    told = events("messages", stream)
    assert messages_blocks(told) == blocks(stream)
    called = "tool_use" if stream.calls() else "end_turn"
    delta = told[-2]
    assert delta["delta"]["stop_reason"] == STOPS.get(stream.finish, called)
    assert delta["usage"]["output_tokens"] == USAGE["completion_tokens"]

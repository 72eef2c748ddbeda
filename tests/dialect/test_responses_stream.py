"""The stream of /v1/responses: numbered, typed, the same however the engine's bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from seekserve.dialect.responses import Responses
from seekserve.errors import EngineBroke
from seekserve.gateway.sse import Tap
from tests.dialect.test_responses import USAGE, answered, sent

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
AWKWARD = 'Grüße "x" \\ 漢字 🐳 \n\n data: [DONE] "usage" {"a":[1]} \x1f \u2028'


def event(data: Any, spaced: bool = False, plain: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    return b"data: " + json.dumps(data, separators=marks, ensure_ascii=plain).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish} | more
    about = {"id": "chatcmpl-a-b", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return about | {"choices": [choice]}


def piece(number: int, arguments: str, **first: Any) -> dict[str, Any]:
    named = {"name": first.pop("name"), "arguments": arguments} if first else {}
    call = {"index": number, **first, "function": named or {"arguments": arguments}}
    return {"tool_calls": [call]}


DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": ""},
    {"reasoning": "so "},
    {"reasoning": AWKWARD},
    {"reasoning": "on"},
    {"content": "It "},
    {"content": AWKWARD},
    {"content": "s."},
    piece(0, "", id="c1", type="function", name="f"),
    piece(0, '{"a":'),
    piece(0, ' "\\u00fc\\""}'),
    piece(1, '{"b', id="c2", type="function", name="g"),
    piece(1, '":2}'),
]


def stream(finish: str = "tool_calls", spaced: bool = False, plain: bool = False) -> bytes:
    chunks = [chunk(delta, token_ids=None) for delta in DELTAS]
    chunks += [chunk({"content": ""}, finish, stop_reason=None)]
    usage = chunk({}) | {"choices": [], "usage": USAGE}
    told = [event(one, spaced, plain) for one in (*chunks, usage)]
    return b"".join(told) + b"data: [DONE]\n\n"


def tap(cap: int = 1 << 20) -> Tap:
    return Tap(Responses({"model": "m", "input": "hi"}, sent(), cap).voice(True), lambda: 0.0)


def heard(out: bytes) -> list[Any]:
    """The events as the SDK reads them; names, types and numbers held."""
    told = []
    for number, block in enumerate(out.split(b"\n\n")[:-1]):
        name, data = block.split(b"\n")
        one = EVENT.validate_json(data.removeprefix(b"data: "))
        assert name == b"event: " + one.type.encode()
        assert one.sequence_number == number
        told.append(one)
    return told


TEXT = ["content_part.added", "{}.delta", "{}.delta", "{}.delta", "{}.done", "content_part.done"]
ARGUMENTS = "function_call_arguments"
SEQUENCE = [
    "created",
    "in_progress",
    "output_item.added",
    *(kind.format("reasoning_text") for kind in TEXT),
    "output_item.done",
    "output_item.added",
    *(kind.format("output_text") for kind in TEXT),
    "output_item.done",
    *["output_item.added", f"{ARGUMENTS}.delta", f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done"],
    "output_item.done",
    *["output_item.added", f"{ARGUMENTS}.delta", f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done"],
    "output_item.done",
    "completed",
]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("spaced", [False, True])
def test_the_whole_sequence(spaced: bool, plain: bool) -> None:
    told = heard(tap().feed(stream(spaced=spaced, plain=plain)))
    assert [one.type for one in told] == [f"response.{kind}" for kind in SEQUENCE]
    final = told[-1].response
    thought, said, first, second = final.output
    assert thought.content[0].text == f"so {AWKWARD}on"
    assert final.output_text == said.content[0].text == f"It {AWKWARD}s."
    assert (first.call_id, json.loads(first.arguments)) == ("c1", {"a": 'ü"'})
    assert (second.name, json.loads(second.arguments)) == ("g", {"b": 2})
    assert final.usage.total_tokens == 18
    for index, item in enumerate(final.output):
        own = [one for one in told if getattr(one, "output_index", -1) == index]
        deltas = "".join(one.delta for one in own if one.type.endswith(".delta"))
        assert deltas == (item.arguments if item.type == "function_call" else item.content[0].text)
        assert {one.item_id for one in own if hasattr(one, "item_id")} == {item.id}
        assert own[-1].item == item
    assert len({item.id for item in final.output}) == 4


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_cut_at_any_byte_changes_nothing(newline: bytes) -> None:
    expected, data = tap().feed(stream()), stream().replace(b"\n", newline)
    one = tap()
    assert b"".join(one.feed(data[i : i + 1]) for i in range(len(data))) == expected
    for cut in range(0, len(data), 7):
        one = tap()
        assert one.feed(data[:cut]) + one.feed(data[cut:]) == expected, cut
        assert one.done
        assert (one.finish, one.usage) == ("tool_calls", USAGE)


def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    final = heard(tap().feed(stream()))[-1].response
    calls = [
        {"id": item.call_id, "function": {"name": item.name, "arguments": item.arguments}}
        for item in final.output[2:]
    ]
    texts = {"reasoning": f"so {AWKWARD}on", "content": f"It {AWKWARD}s."}
    assert answered(texts | {"tool_calls": calls}, "tool_calls") == final


@pytest.mark.parametrize(
    ("finish", "kind", "last"),
    [
        ("stop", "completed", "completed"),
        ("length", "incomplete", "incomplete"),
        ("content_filter", "incomplete", "incomplete"),
        ("abort", "failed", "incomplete"),
    ],
)
def test_endings(finish: str, kind: str, last: str) -> None:
    told = heard(tap().feed(stream(finish)))
    assert told[-1].type == f"response.{kind}"
    assert told[-1].response.status == kind
    statuses = [item.status for item in told[-1].response.output]
    assert statuses == ["completed"] * 3 + [last]


def test_a_failure_in_the_middle() -> None:
    one = tap()
    data = stream()
    out = one.feed(data[: data.index(b'"s."')]) + one.feed(b"")
    voice: Any = one._voice
    told = heard(out + voice.failed(EngineBroke("gone")))
    assert told[-1].type == "response.failed"
    assert told[-1].response.error.message == "gone"
    assert [item.type for item in told[-1].response.output] == ["reasoning"]


def test_a_failure_before_anything() -> None:
    voice: Any = tap()._voice
    told = heard(voice.failed(EngineBroke("gone")))
    assert [one.type.rpartition(".")[2] for one in told] == ["created", "in_progress", "failed"]


def test_an_answer_of_nothing() -> None:
    end = event(chunk({}, "stop")) + b"data: [DONE]\n\n"
    told = heard(tap().feed(end))
    assert told[-1].type == "response.completed"
    assert told[-1].response.output == []


def test_text_beyond_the_cap_and_calls_out_of_order() -> None:
    one = tap(cap=1 << 20)
    with pytest.raises(EngineBroke, match="exceeds 1 MiB"):
        one.feed(event(chunk({"content": "x" * 1_000})) * 2_000)
    calls = [piece(0, "{", id="c", name="f"), piece(1, "", id="d", name="g"), piece(0, "}")]
    with pytest.raises(EngineBroke, match="one after the other"):
        tap().feed(b"".join(event(chunk(call)) for call in calls))


@pytest.mark.parametrize(
    "odd", [[1], "x", {"choices": "no"}, {"choices": [{"delta": 5}]}, {"choices": [[]]}]
)
def test_odd_events_are_survived(odd: Any) -> None:
    out = tap().feed(event(chunk({"content": "a"})) + event(odd) + stream())
    assert heard(out)[-1].type == "response.completed"


def test_comments_are_passed_on() -> None:
    assert tap().feed(b": ping\n\n") == b": ping\n\n"

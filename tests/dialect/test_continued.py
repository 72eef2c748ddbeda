"""Texts of an engine told as chat answers, whole and streamed, to both kinds of clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seekserve.dialect.continued import Continued
from seekserve.errors import EngineBroke
from seekserve.gateway.sse import Tap

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
AWKWARD = 'Grüße "x" \\ 漢字 🐳 \n\n data: [DONE] "usage" {"a":[1]} \x1f \u2028 </thin < '


def logprobs(*tokens: str) -> dict[str, Any]:
    """As vLLM has them in a text completion."""
    return {
        "tokens": list(tokens),
        "token_logprobs": [-0.5] * len(tokens),
        "top_logprobs": [{token: -0.5, "z": -2.0} for token in tokens],
        "text_offset": [0] * len(tokens),
    }


def event(
    text: str, finish: Any = None, index: int = 0, spaced: bool = False, **more: Any
) -> bytes:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    about = {"id": "cmpl-7", "object": "text_completion", "created": 3, "model": "m"}
    told = about | {"choices": [choice | {"stop_reason": None, "token_ids": None} | more]}
    return sse(told, spaced)


def sse(told: Any, spaced: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(told, separators=marks, ensure_ascii=spaced)
    return b"data: " + text.encode() + b"\n\n"


def stream(*texts: str, spaced: bool = False, finish: str = "stop", stop: Any = None) -> bytes:
    counts = {"id": "cmpl-7", "created": 3, "model": "m", "choices": [], "usage": USAGE}
    events = [event(text, spaced=spaced) for text in texts]
    events += [event("", finish, spaced=spaced, stop_reason=stop), sse(counts, spaced)]
    return b"".join(events) + b"data: [DONE]\n\n"


def tap(thinks: bool = False, show_usage: bool = False, usage_last: bool = False) -> Tap:
    return Tap(Continued(thinks, usage_last).voice(show_usage), lambda: 0.0)


def heard(out: bytes) -> list[dict[str, Any]]:
    *events, done = [e.removeprefix("data: ") for e in out.decode().split("\n\n")[:-1]]
    assert done == "[DONE]"
    told = [json.loads(one) for one in events]
    for one in told:
        assert (one["id"], one["object"]) == ("chatcmpl-7", "chat.completion.chunk")
        assert (one["created"], one["model"]) == (3, "m")
    return told


def said(events: list[dict[str, Any]], index: int = 0) -> dict[str, str]:
    """What a choice's deltas add up to; reasoning and answer never share one."""
    told: dict[str, str] = {}
    for choice in (c for one in events for c in one["choices"] if c["index"] == index):
        assert len(set(choice["delta"]) & {"content", "reasoning_content"}) <= 1
        for key, text in choice["delta"].items():
            assert key == "role" or "role" not in choice["delta"] or not text
            told[key] = told.get(key, "") + text
    return told


@pytest.mark.parametrize("spaced", [False, True])
def test_an_answer_that_goes_on(spaced: bool) -> None:
    events = heard(tap().feed(stream("It ", AWKWARD, "", "s.", spaced=spaced)))
    assert said(events) == {"role": "assistant", "content": f"It {AWKWARD}s."}
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    ends = [one["choices"][0]["finish_reason"] for one in events]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert "usage" not in str(events[-1]) and "stop_reason" not in str(events)


THOUGHTS = [
    ("so ", AWKWARD, "</think>", "It ", AWKWARD),
    ("so ", AWKWARD + "</think>It " + AWKWARD),
    ("so " + AWKWARD + "</", "think", ">", "It ", AWKWARD),
    ("so ", *AWKWARD, *"</think>", *"It ", *AWKWARD),
    ("so ", AWKWARD + "<", "/think>It ", AWKWARD),
]


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("texts", THOUGHTS)
def test_reasoning_then_an_answer(texts: tuple[str, ...], spaced: bool) -> None:
    told = said(heard(tap(thinks=True).feed(stream(*texts, spaced=spaced))))
    assert told["reasoning_content"] == f"so {AWKWARD}"
    assert told["content"] == f"It {AWKWARD}"


@pytest.mark.parametrize("texts", [("all ", "thought"), ("all thought", "</thin")])
def test_reasoning_that_does_not_end(texts: tuple[str, ...]) -> None:
    events = heard(tap(thinks=True).feed(stream(*texts, finish="length")))
    assert said(events)["reasoning_content"] == "".join(texts)
    assert said(events)["content"] == ""
    assert events[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("usage_last", [False, True])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("thinks", [False, True])
def test_a_cut_at_any_byte_changes_nothing(thinks: bool, newline: bytes, usage_last: bool) -> None:
    whole = stream("so ", AWKWARD, "</think>", "It ", AWKWARD, " i", "s", " s", "o.")
    expected = tap(thinks, True, usage_last).feed(whole)
    data = whole.replace(b"\n", newline)
    one = tap(thinks, True, usage_last)
    assert b"".join(one.feed(data[i : i + 1]) for i in range(len(data))) == expected
    for cut in range(0, len(data), 5):
        one = tap(thinks, True, usage_last)
        assert one.feed(data[:cut]) + one.feed(data[cut:]) == expected, cut
        assert (one.done, one.finish, one.usage) == (True, "stop", USAGE)
    one = tap(thinks, True, usage_last)
    events = [part + newline * 2 for part in data.split(newline * 2)[:-1]]
    assert b"".join(one.feed(part) for part in events) == expected


def test_usage_where_it_is_asked_for() -> None:
    (*_, last) = heard(tap(show_usage=True).feed(stream("a")))
    assert (last["choices"], last["usage"]["prompt_cache_miss_tokens"]) == ([], 5)
    for show in (False, True):
        events = heard(tap(show_usage=show, usage_last=True).feed(stream("a")))
        assert ["usage" in one for one in events] == [False] * (len(events) - 1) + [True]
        assert events[-1]["choices"][0]["finish_reason"] == "stop"
        assert events[-1]["usage"]["total_tokens"] == 8


@pytest.mark.parametrize("usage_last", [False, True])
def test_two_at_once(usage_last: bool) -> None:
    parts = [event("a", index=0), event("b", index=1), event("</think>c", index=1)]
    parts += [event("d", index=0), event("e", index=1), event("", "length", 0)]
    both = json.loads(event("f")[6:])
    both["choices"] = [
        both["choices"][0] | {"index": n, "text": t} for n, t in ((1, "g"), (0, "h"))
    ]
    parts.insert(-1, sse(both))
    parts += [event("", "stop", 1), sse({"id": "cmpl-7", "choices": [], "usage": USAGE})]
    out = tap(True, True, usage_last).feed(b"".join(parts) + b"data: [DONE]\n\n")
    out = out.replace(b'{"id":"chatcmpl-7","object":"chat.completion.chunk","choices":[],', b"{")
    events = [json.loads(e[6:]) for e in out.split(b"\n\n")[:-2]]
    spoken = [one | {"choices": one.get("choices", [])} for one in events]
    assert said(spoken, 0) == {"role": "assistant", "content": "", "reasoning_content": "adh"}
    assert said(spoken, 1) == {"role": "assistant", "content": "ceg", "reasoning_content": "b"}
    ends = [c["finish_reason"] for one in spoken for c in one["choices"] if c["finish_reason"]]
    assert ends == ["length", "stop"]
    assert ["usage" in one for one in events].index(True) == len(events) - 1


def test_logprobs_stay_with_what_they_are_of() -> None:
    parts = [event("r", logprobs=logprobs("r")), event("", logprobs=logprobs("\ufffd"))]
    parts += [event("s</think>a", logprobs=logprobs("s", "</think>", "a"))]
    parts += [event("b", logprobs=logprobs("b")), event("", "stop")]
    events = heard(tap(True).feed(b"".join(parts) + b"data: [DONE]\n\n"))
    told = [one["choices"][0]["logprobs"] for one in events]
    found = {
        key: [token["token"] for some in told if some for token in some.get(key) or ()]
        for key in ("reasoning_content", "content")
    }
    assert found == {"reasoning_content": ["r", "\ufffd", "s", "</think>"], "content": ["a", "b"]}


def test_one_token_of_logprobs() -> None:
    (_, one, _) = heard(tap().feed(event("é", logprobs=logprobs("é")) + stream()))
    top = [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}]
    top.append({"token": "z", "logprob": -2.0, "bytes": [122]})
    assert one["choices"][0]["logprobs"] == {"content": [top[0] | {"top_logprobs": top}]}


def whole(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"} | more
    return {"id": "cmpl-7", "created": 3, "model": "m", "choices": [choice], "usage": USAGE}


@pytest.mark.parametrize(
    ("thinks", "text", "message"),
    [
        (False, "a", {"content": "a"}),
        (False, "a</think>b", {"content": "a</think>b"}),
        (True, "a</think>b", {"content": "b", "reasoning_content": "a"}),
        (True, "a", {"content": "", "reasoning_content": "a"}),
        (True, "</think>b", {"content": "b"}),
        (True, "", {"content": ""}),
    ],
)
def test_whole_answers(thinks: bool, text: str, message: dict[str, Any]) -> None:
    told = Continued(thinks).answer(whole(text, stop_reason="x"))
    assert told["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant"} | message,
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert (told["id"], told["object"]) == ("chatcmpl-7", "chat.completion")
    assert told["usage"]["prompt_cache_miss_tokens"] == 5


def test_the_logprobs_of_a_whole_answer_are_told_apart() -> None:
    given = whole("a</think>b", logprobs=logprobs("a", "</think>", "b"))
    told = Continued(True).answer(given)["choices"][0]["logprobs"]
    assert [token["token"] for token in told["reasoning_content"]] == ["a", "</think>"]
    assert [token["token"] for token in told["content"]] == ["b"]
    assert set(Continued(False).answer(given)["choices"][0]["logprobs"]) == {"content"}


def test_an_answer_given_up_and_a_failure() -> None:
    events = heard(tap().feed(stream("a", finish="abort")))
    assert events[-1]["choices"][0]["finish_reason"] == "insufficient_system_resource"
    for usage_last in (False, True):
        voice = Continued(False, usage_last).voice(True)
        assert json.loads(voice.failed(EngineBroke("gone"))[6:])["error"]["message"] == "gone"
        assert voice.events(b": ping\n\n") == b": ping\n\n"

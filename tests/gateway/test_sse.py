"""The tap on an event stream: however the bytes are cut, the same comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seekserve.dialect.chat import Chat
from seekserve.dialect.completions import Completions
from seekserve.errors import EngineBroke
from seekserve.gateway.sse import MAX_EVENT, Tap

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def event(data: Any, spaced: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    return b"data: " + json.dumps(data, separators=marks).encode() + b"\n\n"


def delta(said: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": said, "logprobs": None, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice | more]}


def stream(spaced: bool = False) -> bytes:
    chunks = [
        delta({"role": "assistant", "content": ""}) | {"prompt_token_ids": None},
        delta({"reasoning": 'so "usage" and "reasoning": {"error"} [DONE]'}, token_ids=None),
        delta({"content": 'data: [DONE]\n\n"reasoning": null,'}, token_ids=None),
        delta({"content": ""}, "stop", stop_reason=None),
        {"id": "c", "choices": [], "usage": USAGE},
    ]
    return b"".join(event(chunk, spaced) for chunk in chunks) + b"data: [DONE]\n\n"


def tap(show_usage: bool = True) -> Tap:
    ticks = iter(range(10_000))
    return Tap(Chat().voice(show_usage), lambda: float(next(ticks)))


def whole(data: bytes) -> tuple[bytes, Tap]:
    one = tap()
    return one.feed(data), one


@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("spaced", [False, True])
def test_a_cut_at_any_byte_changes_nothing(spaced: bool, crlf: bool) -> None:
    expected, _ = whole(stream(spaced))
    data = stream(spaced).replace(b"\n", b"\r\n") if crlf else stream(spaced)
    for cut in range(len(data) + 1):
        one = tap()
        assert one.feed(data[:cut]) + one.feed(data[cut:]) == expected, cut
        assert one.done
        assert one.finish == "stop"
        assert one.usage == USAGE


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_single_bytes_change_nothing(newline: bytes) -> None:
    expected, _ = whole(stream())
    one = tap()
    data = stream().replace(b"\n", newline)
    assert b"".join(one.feed(data[i : i + 1]) for i in range(len(data))) == expected


def test_only_whole_events_are_passed_on() -> None:
    one = tap()
    assert one.feed(event(delta({"content": "a"}))[:-1]) == b""
    assert one.feed(b"\n").endswith(b"\n\n")


def test_text_that_looks_like_the_protocol_survives() -> None:
    out, one = whole(stream())
    told = [json.loads(e.removeprefix(b"data: ")) for e in out.split(b"\n\n")[:-2]]
    assert told[1]["choices"][0]["delta"] == {
        "reasoning_content": 'so "usage" and "reasoning": {"error"} [DONE]'
    }
    assert told[2]["choices"][0]["delta"] == {"content": 'data: [DONE]\n\n"reasoning": null,'}
    assert one.broke is None


def test_usage_is_hidden_unless_asked_for_and_known_either_way() -> None:
    one = tap(show_usage=False)
    assert b'"usage"' not in one.feed(stream()).replace(b'\\"usage\\"', b"")
    assert one.usage == USAGE
    assert b'"prompt_cache_miss_tokens":5' in tap().feed(stream())


def test_the_first_token_is_neither_a_comment_nor_the_opening_event() -> None:
    one = tap()
    one.feed(b": ping\n\n")
    one.feed(event(delta({"role": "assistant", "content": ""})))
    assert one.first_at is None
    one.feed(event(delta({"content": "a"})))
    assert one.first_at == 0.0
    one.feed(event(delta({"content": "b"})))
    assert one.first_at == 0.0


def test_a_server_that_names_the_role_in_every_event_streams_all_the_same() -> None:
    one = tap()
    assert one.feed(event(delta({"role": "assistant", "content": ""}))) == b""
    assert b'"content":"a"' in one.feed(event(delta({"role": "assistant", "content": "a"})))
    assert b'"content":"b"' in one.feed(event(delta({"role": "assistant", "content": "b"})))


def test_comments_go_on_at_once_though_an_opening_event_comes_with_them() -> None:
    one = tap()
    assert (
        one.feed(b": ping\n\n" + event(delta({"role": "assistant", "content": ""})))
        == b": ping\n\n"
    )


@pytest.mark.parametrize("said", [{"message": "m" * 999}, "plain words", {"code": 5}])
def test_an_error_event_ends_it_after_what_came_before(said: Any) -> None:
    one = tap()
    before = event(delta({"content": "a"}))
    out = one.feed(before + event({"error": said}) + before)
    assert out == before
    assert isinstance(one.broke, EngineBroke)
    assert len(one.broke.message) < 400


@pytest.mark.parametrize("cut", [False, True])
def test_an_error_in_the_place_of_the_first_token_says_nothing_to_the_client(cut: bool) -> None:
    """So the request may begin anew elsewhere, as if this engine had not been asked."""
    one = tap()
    opening = event(delta({"role": "assistant", "content": ""}))
    error = event({"error": {"message": "the step failed", "code": 500}})
    assert b"".join(map(one.feed, [opening, error] if cut else [opening + error])) == b""
    assert isinstance(one.broke, EngineBroke) and not one.said
    one.broke = None
    one.restart(lambda: None)
    assert one.feed(stream()) == whole(stream())[0]


@pytest.mark.parametrize(
    "done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE] \r\n\r\n"]
)
def test_done_is_known_however_it_is_spaced(done: bytes) -> None:
    one = tap()
    assert one.feed(done) == b"data: [DONE]\n\n"
    assert one.done


def test_a_cut_stream_is_not_done() -> None:
    _, one = whole(stream()[:-4])
    assert not one.done


@pytest.mark.parametrize("odd", ["[1]", "7", '{"usage":', '{"usage":"x"}', '{"error":null}', '""'])
def test_odd_events_pass_or_vanish_but_never_raise(odd: str) -> None:
    one = tap()
    one.feed(f'data: {odd}\n\ndata: "usage"\n\n'.encode())
    assert one.broke is None
    assert one.usage is None


def test_an_endless_event_is_refused_without_growing_work() -> None:
    one = tap()
    for _ in range(MAX_EVENT // 2**14):
        assert one.feed(b"x" * 2**14) == b""
    with pytest.raises(EngineBroke, match="longer than"):
        one.feed(b"x")


def test_completions_keep_their_events() -> None:
    told = {"choices": [{"index": 0, "text": "a", "finish_reason": "length"}], "usage": USAGE}
    one = Tap(Completions().voice(True), lambda: 0.0)
    out = json.loads(one.feed(event(told)).removeprefix(b"data: "))
    assert out["choices"] == told["choices"]
    assert out["usage"]["prompt_cache_hit_tokens"] == 0
    assert one.finish == "length"


def test_deltas_alike_are_translated_as_the_first_was_and_others_as_themselves() -> None:
    """Each event alone, so that the learned way is taken, against all at once, where it is not."""
    said = ["a", "b c", 'q"uote', "back\\slash", "", "new\nline", "ü", "}]}", "x"]
    deltas = [{kind: text} for kind in ("reasoning", "content") for text in said]
    parts = [event(delta(d, token_ids=None)) for d in [{"role": "assistant"}, *deltas]]
    parts += [event(delta({"content": "z"}, "stop")), b"data: [DONE]\n\n"]
    one = tap()
    alone = b"".join(one.feed(part) for part in parts)
    for size in (2, 3, 5):
        grouped, other = b"", tap()
        for start in range(0, len(parts), size):
            grouped += other.feed(b"".join(parts[start : start + size]))
        assert grouped == alone
    assert one.finish == "stop"
    assert b'"reasoning":' not in alone
    assert b"token_ids" not in alone


def test_events_never_alike_are_given_up_and_still_right() -> None:
    one, other = tap(), tap()
    parts = [event(delta({"reasoning": f"t{i}"}, token_ids=[i])) for i in range(200)]
    assert b"".join(map(one.feed, parts)) == other.feed(b"".join(parts))


def test_nothing_is_passed_on_after_the_end() -> None:
    one = tap()
    plain = event(delta({"content": "a"}))
    for _ in range(3):
        assert one.feed(plain) == plain
    one.feed(b"data: [DONE]\n\n")
    assert one.feed(plain) == b""

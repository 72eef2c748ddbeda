"""What is kept of a stream: ids apart from events, words in the order they were made."""

from __future__ import annotations

from seekserve.dialect.chat import Chat
from seekserve.gateway.kept import Kept
from seekserve.gateway.sse import Tap

HEAD = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'


def event(delta: bytes, ids: bytes) -> bytes:
    return (
        HEAD
        + b'"delta":'
        + delta
        + b',"logprobs":null,"finish_reason":null,"token_ids":'
        + ids
        + b"}]}\n\n"
    )


def test_a_thought_that_ends_within_an_event_was_before_its_content() -> None:
    """vLLM puts several tokens into one event when its readers are slow, and `content` before `reasoning`."""
    kept = Kept()
    kept.strip(event(b'{"reasoning":"so "}', b"[1]"))
    bare = kept.strip(event(b'{"content":"42","reasoning":"far."}', b"[2,3,4]"))
    assert kept.told == "so far.42" and not kept.reasoning
    assert kept.answer_ids == [1, 2, 3, 4] and b"token_ids" not in bare


def test_several_events_at_once_keep_their_order() -> None:
    kept = Kept()
    kept.strip(event(b'{"reasoning":"a"}', b"[1]") + event(b'{"content":"b"}', b"[2]"))
    assert kept.told == "ab" and not kept.reasoning


def test_an_event_that_told_an_id_alone_is_not_passed_on() -> None:
    kept = Kept()
    assert kept.strip(event(b"{}", b"[7]") + event(b'{"content":"b"}', b"[8]")).count(b"data:") == 1
    assert kept.answer_ids == [7, 8]


def test_quotes_one_after_another_are_kept_whole() -> None:
    """A lesson is how an event stands around its text, which may itself end in an escaped quote."""
    kept = Kept()
    tap = Tap(Chat().voice(True), lambda: 0.0, kept=kept)
    for number, said in enumerate((rb"\"", rb"\"", b"a", rb"b\"", rb"c\\", b"d", rb"\"")):
        out = tap.feed(event(b'{"content":"' + said + b'"}', b"[%d]" % number))
        assert out.count(b'"content":"' + said + b'"}') == 1
    assert kept.told == '""ab"c\\d"' and kept.count == 7

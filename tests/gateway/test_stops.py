"""Stop strings over a text that comes in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seekserve.gateway.stops import Stops

letters = st.text("ab<", max_size=12)
words = st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3)


def cut_by(words: list[str], text: str, known: int = 0, include: bool = False) -> str:
    """What is passed on of a text, read character by character beyond what is `known`."""
    for end in range(known + 1, len(text) + 1):
        if met := [word for word in words if text[:end].endswith(word)]:
            return text[: end if include else end - len(met[0])]
    return text


@given(words=words, parts=st.lists(letters, max_size=6))
def test_any_split_gives_the_cut_of_the_whole(words: list[str], parts: list[str]) -> None:
    stops, text = Stops(words), "".join(parts)
    out = "".join(map(stops.feed, parts)) + stops.feed("", last=True)
    assert out == cut_by(words, text)
    assert bool(stops.met) == (out != text)
    assert not stops.met or text.startswith(stops.met, len(out))


@given(words=words, told=letters, parts=st.lists(letters, max_size=6))
def test_what_was_told_before_counts(words: list[str], told: str, parts: list[str]) -> None:
    """Where a stop string stands in it, its engine was to make more: only those that end later count."""
    stops = Stops(words)
    stops.add(told)
    out = "".join(map(stops.feed, parts)) + stops.feed("", last=True)
    expected = cut_by(words, told + "".join(parts), len(told))
    assert told + out == (expected if len(expected) >= len(told) else told)


@given(words=words, parts=st.lists(letters, max_size=6), short=st.integers(0, 3))
def test_none_counts_that_ends_while_the_answer_is_too_short(
    words: list[str], parts: list[str], short: int
) -> None:
    stops = Stops(words)
    heeded = [stops.feed(part, heed=number >= short) for number, part in enumerate(parts)]
    out = "".join(heeded) + stops.feed("", last=True)
    assert out == cut_by(words, "".join(parts), sum(map(len, parts[:short])))


@given(words=words, parts=st.lists(letters, max_size=6))
def test_one_that_is_to_be_told_is_told_to_its_end(words: list[str], parts: list[str]) -> None:
    stops = Stops(words, include=True)
    sent = "".join(map(stops.feed, parts))
    assert sent == cut_by(words, "".join(parts), include=True), "with nothing held back"


@given(words=words, parts=st.lists(letters, max_size=6))
def test_no_more_is_held_than_may_begin_one(words: list[str], parts: list[str]) -> None:
    stops, sent, most = Stops(words), 0, max(map(len, words), default=1) - 1
    for number in range(len(parts)):
        sent += len(stops.feed(parts[number]))
        if not stops.met:
            assert sum(map(len, parts[: number + 1])) - sent <= most


def test_without_any_nothing_is_held() -> None:
    stops = Stops([])
    assert [stops.feed(part) for part in ("a", "", "bc")] == ["a", "", "bc"]

"""Stop strings over a text that comes in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seekserve.gateway.stops import Stops

letters = st.text("ab<", max_size=12)
words = st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3)


def cut_by(words: list[str], text: str) -> str:
    """What is passed on of a text that was there at once."""
    return text[: min((i for word in words if (i := text.find(word)) >= 0), default=len(text))]


@given(words=words, parts=st.lists(letters, max_size=6))
def test_any_split_gives_the_cut_of_the_whole(words: list[str], parts: list[str]) -> None:
    stops, text = Stops(words), "".join(parts)
    out = "".join(map(stops.feed, parts)) + stops.feed("", last=True)
    assert out == cut_by(words, text)
    assert bool(stops.met) == (out != text)
    assert not stops.met or text.startswith(stops.met, len(out))


@given(words=words, told=letters, parts=st.lists(letters, max_size=6))
def test_what_was_told_before_counts(words: list[str], told: str, parts: list[str]) -> None:
    """It never holds a whole stop string: its engine would have ended there."""
    told, text = cut_by(words, told), "".join(parts)
    stops = Stops(words)
    stops.add(told)
    out = "".join(map(stops.feed, parts)) + stops.feed("", last=True)
    expected = cut_by(words, told + text)
    assert told + out == (expected if len(expected) >= len(told) else told)


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

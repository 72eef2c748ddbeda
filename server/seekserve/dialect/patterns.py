"""Regular expressions in a client's schemas: how large an automaton they ask for. Pure.

vLLM 0.32 bounds the time of a `structured_outputs.regex` alone; a `pattern` inside a schema is compiled
for as long as it takes. With xgrammar 0.2.8 and a vocabulary of 127,000, `^(.{1,10}){1,10}$` is not done
after 25 seconds, nor is `[a-z]?` written 680 times.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CHARS = 2048
STATES = 512
"""Of one pattern: `(.{1,5}){1,5}`, twice in a schema, is more than 25 s."""
LOOSE = 64
"""As many `[a-z]?` in a row take a second, twice as many nine."""
UNROLLED = 128
"""A single character counted further than this is kept as a count."""
DEEP = 32
"""Groups in groups: they are read by recursion."""
FAR = 10**9
"""What larger numbers count as: products of them stay small."""
_MANY = re.compile(r"[a-d]-[m-z]|[A-D]-[M-Z]|\\[DSWwpPu]|[^\x00-\x7f]")
_COUNTED = re.compile(r"\{(\d+)(,?)(\d*)\}")
_LOOKS = ("?=", "?!", "?<=", "?<!")


class Unfit(ValueError):
    """Why a pattern is not compiled, in words that follow its path."""


class _Part(NamedTuple):
    """A piece of a pattern. `states`: of its automaton, a repeat of one character being one; `written`: with
    every counted repeat written out; `loose`: its pieces that may be left out; `endless`: it is nothing
    but repeats without an end.
    """

    states: int = 0
    written: int = 0
    loose: int = 0
    endless: bool = False


_ONE = _Part(1, 1)
_WIDE = _Part(1, 40)
"""Any character, or most letters: much of a vocabulary may go on from there."""
WIDER = 5
"""What such a character costs where it is counted, against one of a few."""


def states(pattern: str) -> int:
    """How many states it comes to. Raises Unfit for what an engine would not do, or not soon."""
    if len(pattern) > CHARS:
        raise Unfit(f"is {len(pattern)} characters long; at most {CHARS} here")
    if "\0" in pattern:
        raise Unfit("holds a NUL character")
    reader = _Reader(pattern)
    whole = reader.branches(0)
    if reader.at < len(pattern):
        raise Unfit("closes a group that it did not open")
    if whole.states > STATES:
        raise Unfit(
            f"comes to {whole.states} states with its repeats written out; at most {STATES} here"
        )
    if whole.loose > LOOSE:
        raise Unfit(f"has {whole.loose} parts that may be left out; at most {LOOSE} here")
    return whole.states


class _Reader:
    """Reads once from left to right; groups nest to DEEP."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self.at = 0

    def branches(self, depth: int) -> _Part:
        """Alternatives, up to the group's end: together as large as all of them."""
        if depth > DEEP:
            raise Unfit(f"nests groups more than {DEEP} deep")
        parts = [self._sequence(depth)]
        while self._next("|"):
            parts.append(self._sequence(depth))
        return _together(parts)._replace(endless=len(parts) == 1 and parts[0].endless)

    def _sequence(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self.at < len(self._text) and self._text[self.at] not in "|)":
            parts.append(self._repeated(self._atom(depth)))
        solid = [part for part in parts if part.states]
        return _together(parts)._replace(endless=bool(solid) and all(p.endless for p in solid))

    def _atom(self, depth: int) -> _Part:
        char = self._text[self.at]
        self.at += 1
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escaped()
        if char in "*+?":
            raise Unfit(f"repeats nothing at position {self.at}")
        if char == ".":
            return _WIDE
        return _Part() if char in "^$" else _ONE

    def _group(self, depth: int) -> _Part:
        if self._text.startswith(_LOOKS, self.at):
            raise Unfit("looks ahead or behind, which engines leave out without a word")
        if self._next("?"):
            self._opening()
        inside = self.branches(depth + 1)
        if not self._next(")"):
            raise Unfit("opens a group that it does not close")
        return inside

    def _opening(self) -> None:
        """What stands behind `(?`: a colon, or a name."""
        found = re.compile(r":|P?<[A-Za-z_]\w*>").match(self._text, self.at)
        if not found:
            raise Unfit("has a group of a kind that is not read here: write (…) or (?:…)")
        self.at = found.end()

    def _class(self) -> _Part:
        found = re.compile(r"\^?\]?(?:[^\]\\]|\\.)*\]", re.S).match(self._text, self.at)
        if not found:
            raise Unfit("opens a [ that it does not close")
        self.at = found.end()
        return _WIDE if found[0].startswith("^") or _MANY.search(found[0]) else _ONE

    def _escaped(self) -> _Part:
        char = self._text[self.at : self.at + 1]
        self.at += 1
        if not char:
            raise Unfit("ends in a \\")
        if char in "123456789k":
            raise Unfit("refers back to a group, which no automaton can")
        if char in "bBAZzG":
            return _Part()
        return _WIDE if char in "DSWwpP" else _ONE

    def _repeated(self, part: _Part) -> _Part:
        """With the quantifier behind it, if there is one; a lazy or possessive mark changes nothing."""
        counted = _COUNTED.match(self._text, self.at)
        if counted:
            self.at = counted.end()
            part = _times(part, counted)
        elif self._next("*", "+", "?"):
            part = _loosened(part, self._text[self.at - 1])
        else:
            return part
        self._next("?", "+")
        return part

    def _next(self, *chars: str) -> bool:
        found = self._text.startswith(chars, self.at)
        self.at += found
        return found


def _together(parts: list[_Part]) -> _Part:
    states, written, loose = (sum(part[n] for part in parts) for n in range(3))
    return _Part(min(states, FAR), min(written, FAR), min(loose, FAR))


def _loosened(part: _Part, mark: str) -> _Part:
    """`?` leaves its part out or not; `*` and `+` go round it."""
    if mark == "?":
        return part._replace(loose=part.loose + 1, endless=False)
    if part.endless:
        raise Unfit(
            "repeats without end what repeats without end, such as (a+)+: write one of the two"
        )
    return part._replace(loose=part.loose + (mark == "*"), endless=True)


def _times(part: _Part, counted: re.Match[str]) -> _Part:
    """Of a single character an engine keeps the count; a group it writes out, and what is in it too."""
    least = min(int(counted[1][:10]), FAR)
    most = min(int(counted[3][:10]), FAR) if counted[3] else least
    if counted[3] and most < least:
        raise Unfit("counts to less than it begins with")
    if part.endless and most > 1:
        raise Unfit("counts what repeats without end, such as (a+){2,9}: write one of the two")
    written = min(part.written * max(most, 1), FAR)
    single = min(most, UNROLLED) * (WIDER if part == _WIDE else 1)
    states = single if part in (_ONE, _WIDE) else written
    loose = (most - least) * (part.written > 1) + part.loose * max(most, 1)
    return _Part(
        states, written, min(loose + (least == 0), FAR), bool(counted[2]) and not counted[3]
    )

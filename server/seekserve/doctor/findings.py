"""What a check found: how bad, about what, in a sentence, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


_ORDER = (Grade.BAD, Grade.WARN, Grade.OK)


@dataclass(frozen=True, slots=True)
class Finding:
    grade: Grade
    about: str
    said: str
    mend: str = ""


def ok(about: str, said: str) -> Finding:
    return Finding(Grade.OK, about, said)


def warn(about: str, said: str, mend: str) -> Finding:
    return Finding(Grade.WARN, about, said, mend)


def bad(about: str, said: str, mend: str) -> Finding:
    return Finding(Grade.BAD, about, said, mend)


def else_ok(found: Iterable[Finding], about: str, said: str) -> Iterator[Finding]:
    """What was found; where it is nothing, that all is well."""
    yield from list(found) or [ok(about, said)]


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda one: _ORDER.index(one.grade))


def worst(found: Sequence[Finding]) -> Grade:
    return min((one.grade for one in found), key=_ORDER.index, default=Grade.OK)

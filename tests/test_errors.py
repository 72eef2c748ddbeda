"""The tree of refusals is the one that is drawn, and all of it speaks one envelope."""

from __future__ import annotations

import json
import re

import pytest

from seekserve import errors
from seekserve.errors import QueueFull, Refusal, SeekserveError, StartError

DRAWN = re.compile(r"(?:├──|└──) (\w+)\s+(\d{1,3})?")


def descendants(kind: type) -> set[type]:
    found: set[type] = set(kind.__subclasses__())
    return found.union(*(descendants(below) for below in found))


REFUSALS = sorted(descendants(Refusal), key=lambda kind: kind.__name__)


def test_the_drawn_tree_is_the_real_one() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if "──" in line]
    drawn = {m[1]: m[2] for line in lines if (m := DRAWN.search(line))}
    kinds = {k.__name__: k for k in vars(errors).values() if isinstance(k, type)}
    real = {n: k for n, k in kinds.items() if issubclass(k, SeekserveError)}
    assert set(drawn) | {"SeekserveError"} == set(real)
    for name, number in drawn.items():
        if number:
            told = real[name].status if issubclass(real[name], Refusal) else real[name].exit_code  # type: ignore[attr-defined]
            assert told == int(number), name
    nested = {m[1] for line in lines if line[0] in "│ " and (m := DRAWN.search(line))}
    below = {k.__name__ for top in (StartError, Refusal) for k in descendants(top)}
    assert nested == below


@pytest.mark.parametrize("kind", REFUSALS)
def test_one_envelope_for_all(kind: type[Refusal]) -> None:
    refusal = kind('a "quoted" wörd \ud800', param="p")
    told = json.loads(refusal.envelope())
    assert list(told) == ["error"]
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert told["error"]["param"] == "p"
    assert isinstance(told["error"]["code"], str)
    headers = dict(refusal.headers())
    assert headers[b"content-length"] == str(len(refusal.envelope())).encode()
    assert 400 <= refusal.status <= 599


@pytest.mark.parametrize(
    ("wanted", "told"), [(0.0, b"1"), (0.2, b"1"), (1.5, b"2"), (59.1, b"60"), (1e9, b"60")]
)
def test_retry_after_is_between_one_second_and_a_minute(wanted: float, told: bytes) -> None:
    assert dict(QueueFull("full", retry_after_s=wanted).headers())[b"retry-after"] == told
    assert b"retry-after" not in dict(QueueFull("full").headers())


def test_a_code_of_its_own_does_not_stick_to_the_class() -> None:
    assert QueueFull("full", code="other").code == "other"
    assert QueueFull("full").code == "queue_full"

"""What fuzzing found is tried again, and so are a few thousand quick changes of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS, seeds

FOUND = [(name, path) for name in TARGETS for path in seeds(name)]
CHANGES = 60


def test_every_folder_has_its_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)


@pytest.mark.parametrize(("name", "path"), FOUND, ids=lambda one: getattr(one, "name", one))
def test_what_was_found_is_mended(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_nearly_that_is_no_trouble_either(name: str) -> None:
    places, known = random.Random(7), list(seeds(name))
    assert known
    for path in known:
        data = path.read_bytes()
        for _ in range(CHANGES):
            at = places.randrange(len(data) + 1)
            gone = places.randrange(3)
            TARGETS[name](data[:at] + places.randbytes(places.randrange(3)) + data[at + gone :])

"""All engines together: found by model, started and stopped as one, assembled from settings."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from seekserve.engine import leftovers
from seekserve.engine.address import Address
from seekserve.engine.assembly import assemble
from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.probe import ModelCard
from seekserve.errors import NotFound
from seekserve.log import Log
from tests.support import config

QUIET = Log("text", lambda line: None)


def engine(name: str, state: State, *models: str) -> Engine:
    made = Engine(name, Address(path=f"/{name}.sock"), tuple(map(ModelCard, models)), QUIET)
    made._become(state)
    return made


def test_engines_are_found_by_model() -> None:
    a, b = engine("a", State.READY, "m", "n"), engine("b", State.READY, "n")
    fleet = Fleet([a, b])
    assert fleet.serving("m") == [a]
    assert fleet.serving("n") == [a, b]
    assert set(fleet.cards()) == {"m", "n"}
    assert repr(fleet).startswith("<Fleet [<Engine a ready restarts=0 unix:/a.sock>")


def test_an_unknown_model_is_told_with_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        Fleet([engine("a", State.READY, "m")]).card("x" * 500)
    assert caught.value.code == "model_not_found"
    assert "Known: m" in caught.value.message
    assert len(caught.value.message) < 200


def test_an_engine_that_is_still_unknown_may_have_the_model() -> None:
    fleet = Fleet([engine("a", State.READY, "m"), engine("b", State.STARTING)])
    assert fleet.card("x") is None
    assert [e.snapshot.name for e in fleet.serving("x")] == ["b"]


def test_failed_is_when_nothing_is_left() -> None:
    failed, ready = engine("a", State.FAILED, "m"), engine("b", State.READY, "m")
    assert not Fleet([failed, ready]).failed
    assert Fleet([failed]).failed
    assert Fleet([failed, ready]).ready


async def test_a_launched_engine_lives_in_a_private_folder_that_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("no vLLM is installed")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / "seekserve-999999999-x"
    live = tmp_path / f"seekserve-{os.getppid()}-x"
    for folder in (dead, live):
        folder.mkdir()
    leftovers.sweep()
    fleet = assemble(config(state_dir=tmp_path / "state"), QUIET)
    (made,) = set(tmp_path.glob("seekserve-*")) - {live}  # noqa: ASYNC240
    assert made.stat().st_mode & 0o777 == 0o700
    assert not dead.exists(), "what a killed server left is swept away"
    assert live.exists(), "another server's folder is not"
    assert (tmp_path / "state" / "logs").stat().st_mode & 0o777 == 0o700
    await fleet.__aexit__()
    assert not made.exists()

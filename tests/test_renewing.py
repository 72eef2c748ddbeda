"""What a reload makes of the files for the engines that run: which of them stay, and by which commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seekserve.config import Config
from seekserve.engine.assembly import Launching
from seekserve.engine.fleet import Fleet
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.renewing import Renewing
from seekserve.settings import EngineSettings, Rung, Tier
from tests.support import config
from tests.test_pins import NEW, OLD, READY, REPO, Hub, pins


def changed(of: Config, **tier: Any) -> Config:
    return of.model_copy(update={"tier": of.tier.model_copy(update=tier)})


@dataclass
class Served:
    """A server that started with nothing in the cache, whose engine then fetched `main`."""

    hub: Hub
    update: bool = False

    def __post_init__(self) -> None:
        self.pins = pins(self.hub, update=self.update)
        self.file = config(engine={"model": REPO}, state_dir=self.hub.home.parent)
        self.running, _ = self.planned(self.file)
        self.renewing = Renewing(
            Fleet([]), lambda: self.file, self.planned, Log("json"), self.file, None
        )
        self.hub.fetch(OLD)
        self.pins.heard(READY)

    def planned(self, written: Config) -> tuple[Config, Launching | None]:
        return changed(written, engine=self.pins.pinned(written.tier.engine, REPO)), None

    async def reload(self, anew: bool = False) -> Config:
        read = self.renewing.read(self.running, anew)
        await self.renewing.roll(read, anew)
        self.running = read
        return read


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "home")


async def test_after_a_first_download_engines_are_as_they_are_to_be(hub: Hub) -> None:
    served = Served(hub)
    before = served.running
    assert await served.reload() == before
    limits = before.tier.limits.model_copy(update={"queued": 9})
    served.file = changed(served.file, limits=limits)
    assert (await served.reload()).tier == changed(before, limits=limits).tier


async def test_engines_that_start_anew_take_the_commit_that_was_fetched(hub: Hub) -> None:
    served = Served(hub)
    hub.fetch(NEW)
    engine = (await served.reload(anew=True)).tier.engine
    assert (engine.revision, engine.env) == (OLD, {"HF_HUB_OFFLINE": "1"})
    assert (await served.reload()).tier.engine == engine


@pytest.mark.parametrize("setting", ["engine", "limits"])
async def test_so_do_engines_whose_settings_change(hub: Hub, setting: str) -> None:
    served = Served(hub)
    other: dict[str, Any] = {"engine": {"max_restarts": 9}, "limits": {"choices": 3}}
    was = getattr(served.file.tier, setting)
    served.file = changed(served.file, **{setting: was.model_copy(update=other[setting])})
    engine = (await served.reload()).tier.engine
    assert engine.revision == OLD
    assert (await served.reload()).tier.engine == engine


async def test_a_newer_commit_that_is_asked_for_is_looked_for_at_each_start(hub: Hub) -> None:
    served = Served(hub, update=True)
    before = served.running.tier.engine
    assert (await served.reload()).tier.engine == before
    assert (await served.reload(anew=True)).tier.engine.revision == ""


LADDER = Tier(tier="mine", ladder=(Rung(model="r1-distill-qwen-7b"),))
WRITTEN = Tier(tier="mine", engine=EngineSettings(model="org/other"))


@pytest.mark.parametrize(("before", "after"), [(LADDER, WRITTEN), (WRITTEN, LADDER)])
def test_a_ladder_that_comes_or_goes_is_refused_and_put_back_changes_nothing(
    before: Tier, after: Tier
) -> None:
    started, file = [config().model_copy(update={"tier": tier}) for tier in (before, after)]
    chosen = EngineSettings(model="R1-Distill-Qwen-7B", served_as=("r1",))
    running = changed(started, engine=chosen) if before.ladder else started
    renewing = Renewing(
        Fleet([]), lambda: file, lambda written: (written, None), Log("json"), started, None
    )
    with pytest.raises(ConfigError, match="The ladder or the engine's settings have changed"):
        renewing.read(running, False)
    file = started
    assert renewing.read(running, False) == running

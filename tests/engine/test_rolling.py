"""Engines that are started anew, changed, added and let go, while requests run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from seekserve.engine.engine import State
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.process import Command
from seekserve.engine.rolling import Rolling
from seekserve.engine.vigil import Seen
from seekserve.errors import EngineFailed
from seekserve.log import Log
from seekserve.settings import EngineSettings
from tests.support import FAKE, Gate, alive, config, gateway, until

LIMITS = {"running": 16, "queued": 64, "wait_s": 60}


@dataclass
class House:
    """A fleet of fakes, and what its engines are to be from now on."""

    folder: Path
    knobs: tuple[str, ...] = ()
    broken: int | None = None
    lines: list[str] = field(default_factory=list)

    def order(self, engine: Launched | None = None, number: int = 0) -> Order:
        number = int(engine.snapshot.name.partition("-")[2]) if engine else number
        socket = str(self.folder / f"{number}.sock")
        argv = (sys.executable, str(FAKE), "--uds", socket, *self.knobs)
        argv += ("--exit-early", "3") if number == self.broken else ()
        asked = {"served_as": ("fake",), "stop_grace_s": 5, "start_timeout_s": 20, "drain_s": 20}
        return Order(Command(argv), EngineSettings.model_validate(asked))

    def make(self, number: int) -> Launched:
        socket = self.folder / f"{number}.sock"
        log = Log("json", self.lines.append)
        order = self.order(number=number)
        return Launched(f"engine-{number}", order, socket, self.folder / f"{number}.log", log)

    def orders(self, gate: Gate) -> dict[str, Order]:
        ours = [one for one in gate.fleet.engines if isinstance(one, Launched)]
        return {one.snapshot.name: one.order for one in ours}

    def rolling(self, fleet: Fleet, beside: bool = False) -> Rolling:
        return Rolling(fleet, self.make, self.order, beside)


@asynccontextmanager
async def housing(house: House, count: int) -> AsyncIterator[Gate]:
    fleet = Fleet([house.make(number) for number in range(count)])
    async with gateway(config(limits=LIMITS), fleet) as gate:
        await until(lambda: all(engine.ready for engine in fleet.engines), "all to be ready")
        yield gate
        await gate.at_rest()


class Load:
    """Asks on and on, streams and whole answers; every one has to be answered well."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self.answers, self._stop = gate, list[httpx.Response](), False

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._ask(n % 2 == 0)) for n in range(6)]
        await until(lambda: self.answers, "a first answer")
        return self

    async def _ask(self, stream: bool) -> None:
        while not self._stop:
            answer = await self._gate.ask("fault:slow interval=0.02 x", stream=stream)
            self.answers.append(answer)

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)
        for answer in self.answers:
            assert answer.status_code == 200, answer.text
            assert "error" not in answer.text
            assert " w5" in answer.text


def restarts(gate: Gate) -> list[int]:
    return [engine.snapshot.restarts for engine in gate.fleet.engines]


async def test_all_are_started_anew_one_after_another(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with housing(house, 2) as gate, Load(gate) as load:
        before = len(load.answers)
        done = await house.rolling(gate.fleet).to(2, force=True)
        assert done == ["engine-0 was started anew", "engine-1 was started anew"]
        assert restarts(gate) == [1, 1]
        assert len(load.answers) > before
        assert gate.fleet.ready


async def test_an_operator_starts_one_anew_while_the_other_serves(tmp_path: Path) -> None:
    async with housing(House(tmp_path), 2) as gate, Load(gate) as load:
        before = len(load.answers)
        told = await gate.ops.post("/engines/engine-1/restart", timeout=60)
        assert (told.status_code, told.json()["changed"]) == (200, ["engine-1 was started anew"])
        assert restarts(gate) == [0, 1]
        assert len(load.answers) > before
        assert all(engine.ready for engine in gate.fleet.engines)


async def test_one_alone_finishes_what_runs_and_others_are_told_to_come_back(
    tmp_path: Path,
) -> None:
    """Whoever comes meanwhile is refused at the door, with a time, as before a first start."""
    house = House(tmp_path)
    async with housing(house, 1) as gate:
        slow = "fault:slow interval=0.1 tokens=16 x"
        asked = asyncio.create_task(gate.ask(slow, stream=True))
        await until(lambda: gate.fleet.engines[0].seen().requests, "it to run")
        renewed = asyncio.create_task(house.rolling(gate.fleet).to(1, force=True))
        await until(lambda: not gate.fleet.engines[0].ready, "it to take no more")
        meanwhile = await gate.ask()
        assert meanwhile.status_code == 503 and int(meanwhile.headers["retry-after"]) >= 1
        assert (await asked).text.endswith("data: [DONE]\n\n"), "what runs is finished first"
        await renewed
        assert (await gate.ask()).status_code == 200
        assert restarts(gate) == [1]


async def test_what_has_not_changed_is_left_alone(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with housing(house, 1) as gate:
        assert await house.rolling(gate.fleet).to(1) == []
        assert restarts(gate) == [0]


@pytest.mark.parametrize("beside", [False, True])
async def test_a_change_that_does_not_come_up_leaves_the_old(tmp_path: Path, beside: bool) -> None:
    house = House(tmp_path)
    async with housing(house, 2) as gate, Load(gate):
        old = house.orders(gate)
        house.knobs = ("--say", "ValueError: no such flag", "--exit-early", "3")
        with pytest.raises(EngineFailed, match="exited with code 3"):
            await house.rolling(gate.fleet, beside).to(2)
        await until(lambda: all(e.ready for e in gate.fleet.engines), "both to be back")
        assert house.orders(gate) == old


@pytest.mark.parametrize("beside", [False, True])
async def test_a_change_that_one_of_them_cannot_take_leaves_all_as_they_were(
    tmp_path: Path, beside: bool
) -> None:
    """Those that were changed before it go back, and those that are too many are still there."""
    house = House(tmp_path)
    async with housing(house, 3) as gate, Load(gate):
        old = house.orders(gate)
        house.knobs = ("--births", str(tmp_path / "births"))
        house.broken = 4 if beside else 1
        with pytest.raises(
            EngineFailed, match=r"engine-[14] did not come up: it exited with code 3"
        ):
            await house.rolling(gate.fleet, beside).to(2)
        assert house.orders(gate) == old
        assert all(engine.ready for engine in gate.fleet.engines)
        assert len((tmp_path / "births").read_text().split()) == 2, "one came up, one did not"


async def test_one_more_that_does_not_come_up_is_no_change(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with housing(house, 1) as gate, Load(gate):
        old = house.orders(gate)
        house.knobs, house.broken = ("--births", str(tmp_path / "births")), 2
        with pytest.raises(EngineFailed, match="engine-2 did not come up"):
            await house.rolling(gate.fleet, beside=True).to(3)
        assert house.orders(gate) == old
        assert restarts(gate) == [0], "it had no part in it"


@pytest.mark.parametrize("beside", [False, True])
async def test_a_change_comes_up(tmp_path: Path, beside: bool) -> None:
    house = House(tmp_path)
    async with housing(house, 2) as gate, Load(gate):
        house.knobs = ("--births", str(tmp_path / "births"))
        await house.rolling(gate.fleet, beside).to(2)
        assert len((tmp_path / "births").read_text().split()) == 2
        assert len(gate.fleet.engines) == 2
        assert await house.rolling(gate.fleet, beside).to(2) == [], "now they are as they should be"


async def test_more_and_fewer(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with housing(house, 1) as gate, Load(gate):
        assert await house.rolling(gate.fleet).to(2) == ["engine-1 was started"]
        await until(lambda: gate.fleet.engines[1].seen().requests, "the new one to be used")
        assert await house.rolling(gate.fleet).to(1) == ["engine-1 was stopped"]
        assert [engine.snapshot.name for engine in gate.fleet.engines] == ["engine-0"]
        assert not (tmp_path / "1.sock").exists()
    assert all(engine.snapshot.state is State.STOPPED for engine in gate.fleet.engines)


async def test_one_that_waits_for_its_next_start_is_renewed(tmp_path: Path) -> None:
    house = House(tmp_path, ("--births", str(tmp_path / "births")))
    async with housing(house, 1) as gate:
        one = gate.fleet.engines[0]
        os.kill(int((tmp_path / "births").read_text()), signal.SIGKILL)
        await until(lambda: one.snapshot.stage == "wait" and one.snapshot.restarts, "its back-off")
        done = await asyncio.wait_for(house.rolling(gate.fleet).to(1, force=True), 20)
        assert done == ["engine-0 was started anew"]
        assert one.ready


async def test_one_that_was_given_up_is_renewed(tmp_path: Path) -> None:
    """A mended configuration brings it back."""
    house = House(tmp_path, ("--exit-early", "3"))
    fleet = Fleet([house.make(0)])
    async with gateway(config(limits=LIMITS), fleet, ready=False) as gate:
        await until(lambda: fleet.failed, "it to be given up")
        house.knobs = ()
        done = await house.rolling(fleet).to(1)
        assert done == ["engine-0 was started anew"]
        assert (await gate.ask()).status_code == 200


async def test_one_that_is_being_let_go_ends_with_the_rest(tmp_path: Path) -> None:
    births = tmp_path / "births"
    house = House(tmp_path, ("--births", str(births)))
    fleet = Fleet([house.make(0)])
    async with fleet:
        await until(lambda: fleet.ready, "it to be ready")
        fleet.engines[0].seen = lambda: Seen(requests=1)
        leaving = asyncio.create_task(fleet.let_go(fleet.engines[0]))
        await until(lambda: fleet.engines[0].snapshot.state is State.DRAINING, "it to drain")
    await leaving
    assert not alive(int(births.read_text()))

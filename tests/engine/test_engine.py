"""One engine's life, with a fake one as the child: its start, its deaths, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from seekserve.engine.address import Address
from seekserve.engine.engine import Attached, Snapshot, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.process import Command
from seekserve.log import Log
from seekserve.settings import EngineSettings
from tests.support import FAKE, alive, config, fake_engine, gateway, until


@dataclass
class Life:
    """A launched engine under watch."""

    engine: Launched
    folder: Path
    heard: list[Snapshot] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def births(self) -> list[int]:
        """The pids of every process the engine was so far."""
        file = self.folder / "births"
        return [int(pid) for pid in file.read_text().split()] if file.exists() else []

    @property
    def states(self) -> list[str]:
        states = [snapshot.state.value for snapshot in self.heard]
        return [s for i, s in enumerate(states) if i == 0 or s != states[i - 1]]

    async def becomes(self, state: State) -> Snapshot:
        await until(lambda: self.engine.snapshot.state is state, f"{self.engine!r} to be {state}")
        return self.engine.snapshot


def launched(folder: Path, *knobs: str, **settings: Any) -> Life:
    life = Life.__new__(Life)
    given = {"served_as": ("fake",), "stop_grace_s": 5, "start_timeout_s": 20} | settings
    path = folder / "engine.sock"
    words = (sys.executable, str(FAKE), "--uds", str(path), "--births", str(folder / "births"))
    engine = Launched(
        "engine-0",
        Order(Command((*words, *knobs)), EngineSettings.model_validate(given)),
        path,
        folder / "engine.log",
        Log("json", lambda line: life.lines.append(line)),
    )
    life.__init__(engine, folder)  # type: ignore[misc]
    engine.listen(life.heard.append)
    return life


@asynccontextmanager
async def living(life: Life) -> AsyncIterator[Life]:
    """Runs the engine; afterwards no process of it and no socket may be left."""
    task = asyncio.create_task(life.engine.run())
    try:
        yield life
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not [pid for pid in life.births if alive(pid)], "every process to end")
    assert not (life.folder / "engine.sock").exists()


async def test_a_start_passes_its_stages_and_a_stop_leaves_nothing(tmp_path: Path) -> None:
    async with living(launched(tmp_path, "--ready-after", "0.3")) as life:
        ready = await life.becomes(State.READY)
        assert ready.models[0].id == "fake"
        assert ready.models[0].max_model_len == 2048
        assert ready.stage == ""
        assert list(ready.stage_s) == ["launch", "configure", "load", "warm-up", "serve"]
        assert (
            repr(life.engine) == f"<Engine engine-0 ready restarts=0 unix:{tmp_path}/engine.sock>"
        )
        starting = [s for s in life.heard if s.state is State.STARTING]
        assert all(s.stage for s in starting), "a start is never without a stage"
        assert 0.5 in [s.share for s in starting]
    assert life.states == ["starting", "ready", "draining", "stopped"]


async def test_a_first_start_that_fails_says_why_and_what_to_do(tmp_path: Path) -> None:
    said = "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"
    async with living(launched(tmp_path, "--say", said, "--trace", "--exit-early", "7")) as life:
        failed = await life.becomes(State.FAILED)
        assert "exited with code 7" in failed.cause
        assert "the weights are too heavy" in failed.cause
        assert "CUDA out of memory" in failed.cause
        assert "line 7, in load" not in failed.cause, "stack frames help nobody here"
        assert str(tmp_path / "engine.log") in failed.cause
        assert "gpu-memory-utilization" in failed.todo
    assert life.states == ["starting", "failed"]
    assert len(life.births) == 1, "a first start gets no second chance"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    life = launched(tmp_path)
    missing = Command(("/no-such-python",))
    life.engine.adopt(Order(missing, life.engine.order.settings))
    async with living(life):
        failed = await life.becomes(State.FAILED)
        assert "/no-such-python cannot be run" in failed.cause


async def test_a_start_that_takes_too_long(tmp_path: Path) -> None:
    knobs = ("--ready-after", "60", "--ignore-term")
    async with living(launched(tmp_path, *knobs, start_timeout_s=0.8, stop_grace_s=0.2)) as life:
        failed = await life.becomes(State.FAILED)
        assert "not ready after 1 s" in failed.cause


async def test_a_crash_after_ready_is_a_restart(tmp_path: Path) -> None:
    async with living(launched(tmp_path)) as life:
        await life.becomes(State.READY)
        os.kill(life.births[0], signal.SIGKILL)
        await until(lambda: life.engine.snapshot.restarts == 1, "a restart")
        await life.becomes(State.READY)
        assert len(life.births) == 2
    assert life.states == ["starting", "ready", "starting", "ready", "draining", "stopped"]
    assert any("was killed by SIGKILL" in line for line in life.lines)


async def test_a_crash_is_noticed_while_a_worker_lives_on(tmp_path: Path) -> None:
    holder = tmp_path / "holder"
    async with living(launched(tmp_path, "--holder", str(holder), stop_grace_s=1)) as life:
        await life.becomes(State.READY)
        worker = int(holder.read_text())
        holder.unlink()
        os.kill(life.births[0], signal.SIGKILL)
        await until(lambda: len(life.births) == 2, "the second life")
        await until(lambda: not alive(worker), "the first life to have ended whole")
        await life.becomes(State.READY)
        worker = int(holder.read_text())
    await until(lambda: not alive(worker), "the worker to end")


async def test_it_gives_up_after_as_many_restarts_as_it_may(tmp_path: Path) -> None:
    async with living(launched(tmp_path, max_restarts=0)) as life:
        await life.becomes(State.READY)
        os.kill(life.births[0], signal.SIGKILL)
        failed = await life.becomes(State.FAILED)
        assert "was killed by SIGKILL" in failed.cause


async def test_a_stale_socket_is_removed_before_the_start(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "engine.sock"))
    async with living(launched(tmp_path)) as life:
        await life.becomes(State.READY)


async def test_a_stop_in_mid_start_leaves_nothing(tmp_path: Path) -> None:
    async with living(launched(tmp_path, "--ready-after", "60")) as life:
        await until(lambda: life.births, "a birth")
    assert life.states[-1] == "stopped"


async def test_one_that_ignores_term_is_killed(tmp_path: Path) -> None:
    async with living(launched(tmp_path, "--ignore-term", stop_grace_s=0.3)) as life:
        await life.becomes(State.READY)


PARENT = """
import asyncio, sys
from pathlib import Path
from seekserve.engine.process import Command, Process
async def main():
    process = await Process.spawn(Command(tuple(sys.argv[2:])), Path(sys.argv[1]), print, 5)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_the_engine_ends_when_its_parent_is_killed_outright(tmp_path: Path) -> None:
    births, path = tmp_path / "births", tmp_path / "engine.sock"
    words = [sys.executable, str(FAKE), "--uds", str(path), "--births", str(births)]
    with (tmp_path / "out").open("wb") as sink:
        command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), *words]
        parent = subprocess.Popen(  # noqa: ASYNC220
            command, stdout=sink, stderr=sink
        )
    try:
        await until(path.exists, "the engine to listen")
    finally:
        parent.kill()
        parent.wait()
    await until(lambda: not alive(int(births.read_text())), "the engine to end")


async def test_an_attached_engine_comes_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    engine = Attached("engine-0", Address(path=str(path)), (), Log("json", lambda _: None))
    async with Fleet([engine]):
        await until(lambda: engine.snapshot.stage == "connect")
        with fake_engine(tmp_path, "--model", "a", "--model", "org/b"):
            await until(lambda: engine.ready, "the first look")
            assert [card.id for card in engine.snapshot.models] == ["a", "org/b"]
        await until(lambda: not engine.ready, "the loss to be noticed")
        assert engine.snapshot.cause.startswith("it stopped answering: ")
        with fake_engine(tmp_path, "--model", "c"):
            await until(lambda: engine.ready, "the second look")
            assert [card.id for card in engine.snapshot.models] == ["c"]
    assert engine.snapshot.state is State.STOPPED


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_bare_engine_is_served_all_the_same(tmp_path: Path, tcp: bool) -> None:
    with fake_engine(tmp_path, "--bare", "--model", "x", tcp=tcp) as bare:
        async with gateway(config(bare.url)) as gate:
            answer = await gate.client.post(
                "/v1/chat/completions", json=gate.chat() | {"model": "x"}
            )
            assert answer.status_code == 200
            page = await gate.ops.get("/metrics")
            assert page.status_code == 200
            assert "vllm:" not in page.text


async def test_while_it_starts_requests_are_told_the_stage(tmp_path: Path) -> None:
    life = launched(tmp_path, "--ready-after", "1")
    async with gateway(config(), Fleet([life.engine]), ready=False) as gate:
        await until(lambda: life.engine.snapshot.stage == "load", "weights to load")
        refused = await gate.ask()
        assert refused.status_code == 503
        error = refused.json()["error"]
        assert error["code"] == "engine_starting"
        assert "stage: load" in error["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await gate.client.get("/health/live")).status_code == 200
        looked: httpx.Response = await gate.client.get("/health/ready")
        assert looked.status_code == 503
        assert looked.json()["engines"][0]["state"] == "starting"
        await life.becomes(State.READY)
        assert (await gate.ask()).status_code == 200
        assert (await gate.client.get("/health/ready")).status_code == 200
        page = await gate.figures()
        assert page["seekserve_engine_start_seconds{engine=engine-0,stage=load}"] > 0
        assert page["seekserve_engine_state{engine=engine-0,state=ready}"] == 1


async def test_a_second_signal_ends_the_grace_of_an_engine_that_is_being_stopped(
    tmp_path: Path,
) -> None:
    life = launched(tmp_path, "--ignore-term", stop_grace_s=600)
    fleet = Fleet([life.engine])
    async with gateway(config(), fleet) as gate:
        gate.server.hurry = fleet.hurry
        (pid,) = life.births
        gate.server.stop()
        await life.becomes(State.DRAINING)
        await asyncio.sleep(0.3)
        assert alive(pid), "it has its grace"
        gate.server.stop()
        await life.becomes(State.STOPPED)
        assert not alive(pid)

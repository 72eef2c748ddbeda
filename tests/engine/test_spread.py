"""An engine over two nodes lives while both its processes do, and again when both can."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from seekserve.engine.engine import State
from seekserve.engine.fleet import Fleet
from seekserve.engine.rolling import renewed
from seekserve.engine.stages import in_words
from seekserve.errors import EngineFailed
from tests.engine.nodes import births, environ, head, joined, node
from tests.support import alive, config, gateway, until


async def test_it_waits_for_its_nodes_starts_on_all_and_ends_on_all(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one:
        waiting = await one.waits()
        assert (waiting.nodes, waiting.where) == (2, f"127.0.0.1:{one.port}")
        assert not one.births, "nothing is started before all are there"
        async with node(one.port, tmp_path / "w") as other:
            ready = await one.becomes(State.READY)
            assert (ready.joined, ready.restarts) == (2, 0)
            await until(lambda: len(one.births) == len(other.births) == 1, "both engines")
            has = environ(other.births[0])
            assert b"FROM_HEAD=1" in has and b"VLLM_HOST_IP=127.0.0.1" in has
            assert b"GLOO_SOCKET_IFNAME=lo" in has
            assert f"TMPDIR={tmp_path / 'w'}".encode() in has
            assert other.said("joined 127.0.0.1")
            port = one.port
            one.engine.retire()
            await one.becomes(State.STOPPED)
            await until(lambda: not alive(other.births[0]), "the other node's engine to end")
    async with node(port, tmp_path / "w") as other:
        await until(lambda: other.said("no head listens there yet"), "the node to wait for a head")
        async with head(tmp_path / "h2", port=port) as two:
            await two.becomes(State.READY)


async def test_a_node_that_leaves_ends_the_life_and_its_return_begins_the_next(
    tmp_path: Path,
) -> None:
    async with head(tmp_path / "h") as one:
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY)
        waiting = await one.waits()
        assert waiting.cause.startswith("node 1 (127.0.0.1) left: it is being stopped")
        assert waiting.restarts == 1
        assert not [pid for pid in one.births if alive(pid)]
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY, restarts=1)
    assert [e["state"] for e in one.events()] == ["joined", "left", "joined", "left"]
    told = [e for e in one.events("engine") if "left" in str(e.get("cause"))]
    assert told and "\n" not in told[0]["cause"]


async def test_a_node_that_is_killed_takes_its_engine_with_it(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one:
        with joined(one.port, tmp_path / "w") as process:
            await one.becomes(State.READY)
            (engine,) = await until(lambda: births(tmp_path / "w"), "its engine")
            process.kill()
            await one.waits()
            await until(lambda: not alive(engine), "its engine to end")
        with joined(one.port, tmp_path / "w"):
            await one.becomes(State.READY, restarts=1)


async def test_one_whose_last_life_is_not_over_yet_is_renewed(tmp_path: Path) -> None:
    """Its next life is not counted before that."""
    away = ("--ignore-term",)
    async with head(tmp_path / "h", *away, stop_grace_s=3) as one, node(one.port, tmp_path / "w"):
        await one.becomes(State.READY)
        os.kill(one.births[0], signal.SIGKILL)
        dead = await until(lambda: not one.engine.ready and one.engine.snapshot, "its death")
        assert in_words(dead) == "ending what is left of the last life"
        assert await renewed(Fleet([one.engine]), "engine-0") == ["engine-0 was started anew"]
        assert (one.engine.ready, one.engine.snapshot.restarts) == (True, 1)


async def test_one_whose_node_is_missing_is_not_waited_for(tmp_path: Path) -> None:
    """Whoever asked hears which it is, and can ask for something else meanwhile."""
    async with head(tmp_path / "h") as one:
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY)
        await one.waits()
        with pytest.raises(EngineFailed) as told:
            await renewed(Fleet([one.engine]), "engine-0")
        assert f"1 of 2 nodes have joined, waiting at 127.0.0.1:{one.port}" in told.value.message
        assert "node 1 (127.0.0.1) left" in told.value.message
        assert f"seekserve join 127.0.0.1:{one.port}" in told.value.todo
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY, restarts=1)


async def test_a_node_that_is_frozen_is_lost(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one:
        with joined(one.port, tmp_path / "w") as process:
            await one.becomes(State.READY)
            process.send_signal(signal.SIGSTOP)
            waiting = await one.waits()
            assert "nothing was heard of it for 4 s" in waiting.cause
            assert waiting.todo == "", "ours was killed by us, and not for want of memory"
            process.send_signal(signal.SIGCONT)  # it finds its connection closed, and joins again
            await one.becomes(State.READY, restarts=1)
            await until(lambda: len([p for p in births(tmp_path / "w") if alive(p)]) == 1)


async def test_an_engine_that_dies_on_another_node_is_started_again(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one, node(one.port, tmp_path / "w") as other:
        await one.becomes(State.READY)
        await until(lambda: other.births, "its engine")
        os.kill(other.births[0], signal.SIGKILL)
        await one.becomes(State.READY, restarts=1)
        await until(lambda: len(other.births) == len(one.births) == 2, "the second life")
        causes = [str(e.get("cause")) for e in one.events("engine")]
        assert any("node 1 (127.0.0.1): its engine was killed by SIGKILL" in c for c in causes)
        assert not [e for e in one.events() if e["state"] == "left"], "the node itself stayed"


async def test_an_engine_that_dies_here_is_started_again_everywhere(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one, node(one.port, tmp_path / "w") as other:
        await one.becomes(State.READY)
        await until(lambda: other.births, "the other's engine")
        os.kill(one.births[0], signal.SIGKILL)
        await one.becomes(State.READY, restarts=1)
        await until(lambda: len(other.births) == 2, "the other's second life")
        assert not alive(other.births[0])
        causes = [str(e.get("cause")) for e in one.events("engine")]
        assert any(c.startswith("it was killed by SIGKILL") for c in causes)


async def test_one_that_ignores_term_does_not_hold_up_the_next(tmp_path: Path) -> None:
    heads = head(tmp_path / "h", "--ignore-term", stop_grace_s=0.3)
    async with heads as one, node(one.port, tmp_path / "w") as other:
        await one.becomes(State.READY)
        await until(lambda: other.births, "the other's engine")
        os.kill(one.births[0], signal.SIGKILL)
        await one.becomes(State.READY, restarts=1)
        await until(lambda: [alive(pid) for pid in other.births] == [False, True])


async def test_a_first_start_that_fails_on_another_node_says_what_it_said(tmp_path: Path) -> None:
    said = "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"
    away = ("--say", said, "--exit-early", "7")
    async with (
        head(tmp_path / "h", *away, here=("--ready-after", "60"), start_timeout_s=60) as one,
        node(one.port, tmp_path / "w"),
    ):
        failed = await one.becomes(State.FAILED)
        assert "node 1 (127.0.0.1): its engine exited with code 7: RuntimeError" in failed.cause
        assert str(tmp_path / "w" / "node.log") in failed.cause
        assert "gpu-memory-utilization" in failed.todo


async def test_a_start_that_takes_too_long_says_where_each_node_is(tmp_path: Path) -> None:
    heads = head(tmp_path / "h", here=("--ready-after", "60"), start_timeout_s=6)
    async with heads as one, node(one.port, tmp_path / "w"):
        failed = await one.becomes(State.FAILED)
        assert "it was not ready after 6 s (stage: " in failed.cause
        assert "; node 1 (127.0.0.1): " in failed.cause


async def test_a_node_that_leaves_in_mid_start_is_waited_for(tmp_path: Path) -> None:
    """It is no sign that what was ordered cannot be."""
    async with head(tmp_path / "h", here=("--ready-after", "1.5")) as one:
        async with node(one.port, tmp_path / "w") as other:
            await until(lambda: other.births, "a birth")
        waiting = await one.waits()
        assert "ready" not in [snapshot.state.value for snapshot in one.heard]
        assert waiting.restarts == 1
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY, restarts=1)


async def test_lives_that_are_lost_again_and_again_end(tmp_path: Path) -> None:
    async with head(tmp_path / "h", max_restarts=0) as one:
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY)
        failed = await one.becomes(State.FAILED)
        assert "node 1 (127.0.0.1) left" in failed.cause


async def test_what_users_and_operators_are_told(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one:
        await one.waits()
        async with gateway(config(), Fleet([]), ready=False) as gate:
            gate.fleet.engines.append(one.engine)
            looked = await gate.client.get("/health/ready")
            assert looked.status_code == 503
            engine = looked.json()["engines"][0]
            assert (engine["stage"], engine["nodes"]) == ("nodes", {"wanted": 2, "joined": 1})
            assert str(one.port) not in looked.text, "where nodes join is nobody's business"
            refused = await gate.ask()
            assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
            assert "nodes (1 of 2 joined)" in refused.json()["error"]["message"]
            told = (await gate.ops.get("/engines")).json()["engines"][0]
            assert told["nodes_join_at"] == f"127.0.0.1:{one.port}"
            figures = await gate.figures()
            assert figures["seekserve_engine_nodes{engine=engine-0}"] == 2
            assert figures["seekserve_engine_nodes_joined{engine=engine-0}"] == 1


async def test_a_stop_that_is_hurried_is_hurried_on_all_nodes(tmp_path: Path) -> None:
    knobs = ("--ignore-term",)
    async with (
        head(tmp_path / "h", *knobs, here=knobs, stop_grace_s=600) as one,
        node(one.port, tmp_path / "w") as other,
    ):
        await one.becomes(State.READY)
        one.engine.retire()
        await one.becomes(State.DRAINING)
        await asyncio.sleep(0.5)
        assert all(alive(pid) for pid in (*one.births, *other.births)), "they have their grace"
        one.engine.hurry()
        await one.becomes(State.STOPPED)
        assert not [pid for pid in (*one.births, *other.births) if alive(pid)]

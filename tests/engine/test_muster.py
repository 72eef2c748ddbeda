"""Who may be a node: nobody without the token, none that is unlike the head, and no more than are wanted."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from seekserve.engine import link, protocol
from seekserve.engine.engine import State
from seekserve.engine.joining import Joining
from seekserve.engine.muster import MOST_OF_ONE, MOST_STRANGERS, Muster
from seekserve.engine.protocol import Facts, Seal, Stop
from seekserve.engine.work import unfit
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.settings import Listen
from tests.engine.nodes import FACTS, QUICK, TOKEN, Head, Node, head, listening, node, post
from tests.support import until


def refusals(one: Head) -> list[str]:
    return [event["cause"] for event in one.events() if event["state"] == "refused"]


@pytest.mark.parametrize(
    ("token", "facts", "here", "there"),
    [
        (
            "another-token-of-32-characters-x",
            FACTS,
            "SEEKSERVE_NODE_TOKEN is another",
            "does not take",
        ),
        (
            TOKEN,
            FACTS.model_copy(update={"accelerator": "A100"}),
            "8 x A100 (cuda) of 79.6 GiB each there, 8 x H100 (cuda) of 79.6 GiB each on the head",
            "8 x A100 (cuda) of 79.6 GiB each there, 8 x H100",
        ),
        (TOKEN, FACTS.model_copy(update={"count": 4}), "4 x H100", "4 x H100"),
        (TOKEN, FACTS.model_copy(update={"memory_gib": 70.0}), "70 GiB each there", "70 GiB"),
        (TOKEN, FACTS.model_copy(update={"platform": "rocm"}), "(rocm)", "(rocm)"),
    ],
    ids=["token", "accelerator", "count", "memory", "platform"],
)
async def test_one_that_may_not_is_refused_with_words_on_both_sides_and_tries_on(
    tmp_path: Path, token: str, facts: Facts, here: str, there: str
) -> None:
    async with head(tmp_path / "h") as one:
        await one.waits()
        async with node(one.port, tmp_path / "w", token, facts) as other:
            await until(lambda: other.said(there), "the node to be told")
            await until(lambda: any(here in why for why in refusals(one)), "the head to say it")
            assert other.task and not other.task.done()
            assert (one.muster.joined, one.births, other.births) == (1, [], [])
        said = " ".join([*one.lines, *other.heard])
        assert token not in said and TOKEN not in said


@pytest.mark.parametrize("name", ["seekserve", "vllm"])
async def test_another_version_ends_the_node_with_both_named(tmp_path: Path, name: str) -> None:
    async with head(tmp_path / "h") as one:
        await one.waits()
        other = FACTS.model_copy(update={name: "0.7"})
        async with node(one.port, tmp_path / "w", facts=other) as wrong:
            assert wrong.task
            with pytest.raises(ConfigError, match=f"{name} 0.7 there, ") as raised:
                await wrong.task
        assert getattr(FACTS, name) in raised.value.message
        assert raised.value.exit_code == 2
        assert refusals(one) == [f"{name} 0.7 there, {getattr(FACTS, name)} on the head"]


async def test_memory_may_differ_by_what_a_driver_keeps(tmp_path: Path) -> None:
    near = FACTS.model_copy(update={"memory_gib": 79.2, "name": "other"})
    async with head(tmp_path / "h") as one, node(one.port, tmp_path / "w", facts=near):
        await one.becomes(State.READY)


async def test_a_node_too_many_waits_and_takes_the_place_of_one_that_leaves(tmp_path: Path) -> None:
    async with head(tmp_path / "h") as one:
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY)
            spare = node(one.port, tmp_path / "s")
            other: Node = await spare.__aenter__()
            await until(lambda: other.said("all 2 nodes are here already: 127.0.0.1"))
        await one.becomes(State.READY, restarts=1)
        await until(lambda: other.births, "the spare's engine")
        await spare.__aexit__(None, None, None)


async def stranger(port: int, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


async def test_strangers_are_bounded_in_number_bytes_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "GREET_S", 1.5)
    async with head(tmp_path / "h") as one:
        await one.waits()
        ends = []
        for number in range(MOST_STRANGERS):
            address = f"127.0.0.{2 + number // MOST_OF_ONE}"
            ends.append(await stranger(one.port, address))
            if number + 1 == MOST_OF_ONE:
                more = await stranger(one.port, address)
                with suppress(ConnectionError):
                    assert await more[0].read() == b"", "nobody has all places"
                more[1].close()
        greeted = [await reader.readline() for reader, _ in ends]
        assert len(set(greeted)) == MOST_STRANGERS, "no challenge comes twice"
        late = await asyncio.open_connection("127.0.0.1", one.port)
        with suppress(ConnectionError):
            assert await late[0].read() == b"", "one more is not even greeted"
        for reader, writer in [*ends, late]:  # the silent ones are let go
            with suppress(ConnectionError):
                assert await reader.read() in (b"", protocol.NOT_TAKEN)
            writer.close()
        for sent in (b"x" * 100_000, b"GET / HTTP/1.1\r\n\r\n", b"\n", bytes(range(256)) * 40):
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            with suppress(ConnectionError):
                writer.write(sent)
                await reader.read()
            writer.close()
        async with node(one.port, tmp_path / "w"):
            await one.becomes(State.READY)
        addresses = MOST_STRANGERS // MOST_OF_ONE
        assert addresses <= len(refusals(one)) <= addresses + 3, "the same is said once"


async def greeted(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Seal]:
    """A connection that has proven the token, and what seals its lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    theirs, ours = protocol.read_greeting(await reader.readline()), "cd" * 32
    writer.write(protocol.answer(TOKEN, theirs, ours))
    protocol.proven(TOKEN, await reader.readline(), theirs + ours)
    return reader, writer, Seal(TOKEN, theirs + ours, "node")


@pytest.mark.parametrize("wrong", ["again", "unsealed", "endless", "orders"])
async def test_a_member_that_breaks_the_rules_is_none_any_more(tmp_path: Path, wrong: str) -> None:
    async with head(tmp_path / "h", nodes=3) as one:
        reader, writer, seal = await greeted(one.port)
        first = seal.line(FACTS)
        writer.write(first)
        await one.waits(joined=2)
        order = Seal(TOKEN, "", "node").line(Stop(epoch=1, within_s=0))
        lines: dict[str, Any] = {"again": first, "unsealed": b"{}\n", "orders": order}
        writer.write(lines.get(wrong, b"x" * (2 * protocol.MOST_LINE)))
        await one.waits(joined=1)
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.close()
        (left,) = [event for event in one.events() if event["state"] == "left"]
        assert "line" in left["cause"]


async def test_a_head_that_cannot_prove_itself_gives_no_orders(tmp_path: Path) -> None:
    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.greeting("ab" * 32))
        nonce = (await reader.readline()).split()[0].decode()
        proof = protocol.proof("guessed", "head", "ab" * 32 + nonce)
        writer.write(proof.encode() + b"\n")
        writer.write(Seal("guessed", "ab" * 32 + nonce, "head").line(Stop(epoch=1, within_s=0)))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    async with server, node(server.sockets[0].getsockname()[1], tmp_path / "w") as other:
        await until(lambda: other.said("it is no head of ours"), "the impostor to be found out")
        assert not other.births


async def test_what_speaks_otherwise_is_named(tmp_path: Path) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server, node(server.sockets[0].getsockname()[1], tmp_path / "w") as one:
        await until(lambda: one.said("it does not speak seekserve-nodes/1"))


async def test_an_address_with_colons_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    heard: list[str] = []
    away = dataclasses.replace(post(1, tmp_path / "w"), head=Listen(host="::1", port=1))
    task = asyncio.create_task(Joining(away, Log("json", heard.append), heard.append).run())
    await until(lambda: heard, "the head not to be there")
    task.cancel()
    assert heard[0].startswith("[::1]:1: no head listens there yet")


def test_only_the_engine_of_this_installation_is_run(tmp_path: Path) -> None:
    entry = ("vllm", "serve")
    assert not unfit(("vllm", "serve", "deepseek-ai/DeepSeek-R1", "--nnodes", "2"), entry)
    assert not unfit(("vllm", "serve", str(tmp_path)), entry)
    for argv in (
        ("sh", "-c", "id"),
        ("vllm", "bench"),
        ("vllm", "serve"),
        (),
        ("/bin/vllm", "serve", "m"),
    ):
        assert "only vllm serve is run there" in unfit(argv, entry)
    missing = unfit(("vllm", "serve", "/no/such/model"), entry)
    assert missing == "was not started: the model's folder /no/such/model is not on that node"
    endless = unfit(("vllm", "serve", f"/{'x' * 5000}"), entry)
    assert endless.endswith("cannot be reached (File name too long) on that node")


async def test_a_model_that_only_the_head_has_is_said_so(tmp_path: Path) -> None:
    heads = head(tmp_path / "h", here=("--ready-after", "60"), start_timeout_s=60)
    async with heads as one:
        order = one.engine.order.others[0]
        object.__setattr__(order, "argv", ("fake", "/models/r1"))
        async with node(one.port, tmp_path / "w") as other:
            failed = await one.becomes(State.FAILED)
            assert "node 1 (127.0.0.1): its engine was not started" in failed.cause
            assert "/models/r1 is not on that node" in failed.cause
            assert not other.births


async def test_it_says_where_it_is(tmp_path: Path) -> None:
    with listening() as there:
        one = Muster(there, SecretStr(TOKEN), FACTS, 2, Log("json", lambda _: None), QUICK)
        assert repr(one) == f"<Muster 1 of 2 at 127.0.0.1:{one.port}>"
        assert TOKEN not in repr(post(one.port, tmp_path / "p"))


def knock(port: int) -> None:
    """Comes, and is gone with a reset."""
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_one_that_resets_its_connection_is_no_defect() -> None:
    defects: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: defects.append(what))
    lines: list[str] = []
    with listening() as door:
        async with Muster(door, SecretStr(TOKEN), FACTS, 2, Log("json", lines.append), QUICK) as m:
            for _ in range(8):
                await asyncio.to_thread(knock, m.port)
            await until(lambda: lines, "it to be turned away")
            await until(lambda: not m._guests, "all to be gone")
    gc.collect()
    assert defects == []

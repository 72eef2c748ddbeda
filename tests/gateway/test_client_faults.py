"""Clients that are slow, silent, greedy, many or gone: each is bounded, and nothing of them is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from seekserve.doorway import SPARE, seats
from seekserve.log import Log
from seekserve.wire import UNSENT, HttpProtocol
from tests.support import FakeEngine, Gate, config, gateway, post, raw, until

HEAD = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")


def impatient(engine: FakeEngine, **limits: Any) -> Any:
    listen = {"head_s": 0.3, "unread_s": 0.5}
    return gateway(config(engine.url, listen=listen, limits=limits or None))


def sockets(gate: Gate) -> int:
    """Descriptors of the gateway's that belong to clients, whatever it thinks of them itself."""
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    mine = [line for line in lines if line[1].endswith(f":{gate.port:04X}") and line[3] != "0A"]
    return sum(line[9] != "0" for line in mine)


def connections(gate: Gate) -> list[HttpProtocol]:
    return [one for one in gate.server.server_state.connections if isinstance(one, HttpProtocol)]


async def nothing_left(gate: Gate, engine: FakeEngine) -> None:
    """No request, place, engine request, task or socket, but those of the one who looks."""
    await gate.at_rest()
    await until(lambda: engine.running == 0, "the engine to be idle")
    await until(lambda: len(connections(gate)) <= 1, "connections to be gone")
    await until(lambda: not gate.server.server_state.tasks, "tasks to be gone")
    await until(lambda: sockets(gate) <= 1, "sockets to be closed")


async def told(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends, in whatever way."""
    said = b""
    try:
        async with asyncio.timeout(20):
            while part := await reader.read(65536):
                said += part
    except ConnectionError:
        pass
    return said


def chat(gate: Gate, said: str, stream: bool = True) -> bytes:
    return post(json.dumps(gate.chat(said, stream=stream)).encode())


# Slow to speak.


@pytest.mark.parametrize(
    "said", [HEAD, b"G", b"\r\n", HEAD + b"\r\n" + HEAD], ids=["head", "byte", "blank", "second"]
)
async def test_a_head_that_does_not_end_is_told_so(engine: FakeEngine, said: bytes) -> None:
    async with impatient(engine) as gate:
        reader, writer = await raw(gate.port, said)
        answer = await told(reader)
        assert b"HTTP/1.1 408 Request Timeout" in answer or said.endswith(HEAD + b"\r\n" + HEAD)
        assert answer.count(b"200 OK") == said.count(b"\r\n\r\n")
        writer.close()


async def test_a_head_that_dribbles_is_cut_all_the_same(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        reader, writer = await raw(gate.port, HEAD)
        answer = asyncio.create_task(told(reader))
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_one_that_says_nothing_is_left_without_a_word(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        reader, writer = await raw(gate.port, b"")
        assert await told(reader) == b""
        writer.close()


async def test_idle_between_requests_is_no_fault(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        assert (await gate.ask()).status_code == 200
        reader, writer = await raw(gate.port, HEAD + b"\r\n")
        await reader.readuntil(b'"live"}')
        await asyncio.sleep(1.2)
        writer.write(HEAD + b"connection: close\r\n\r\n")
        assert (await told(reader)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_body_that_dribbles_is_refused_and_then_cut(engine: FakeEngine) -> None:
    async with impatient(engine, body_s=0.5) as gate:
        reader, writer = await raw(gate.port, post(b"{").replace(b"length: 1", b"length: 9999"))
        answer = asyncio.create_task(told(reader))
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408")
        assert b"request_timeout" in await answer
        writer.close()
        await nothing_left(gate, engine)


# Bombs and lies.


async def test_chunks_without_end_are_refused_and_then_cut(engine: FakeEngine) -> None:
    async with impatient(engine, body_mib=1) as gate:
        reader, writer = await raw(gate.port, CHUNKED)
        answer = asyncio.create_task(told(reader))
        while not answer.done():
            writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            await asyncio.sleep(0.002)
        assert (await answer).startswith(b"HTTP/1.1 413")
        writer.close()
        await nothing_left(gate, engine)


@pytest.mark.parametrize(
    "bomb", [b"1;" + b"x" * 8192, b"0\r\n" + b"a: b\r\n" * 2000], ids=["extension", "trailer"]
)
async def test_what_is_neither_head_nor_body_has_an_end(engine: FakeEngine, bomb: bytes) -> None:
    async with gateway(config(engine.url)) as gate:
        reader, writer = await raw(gate.port, CHUNKED + bomb)
        answer, sent = asyncio.create_task(told(reader)), 0
        while not answer.done():
            sent += 8190
            writer.write(bomb[3:9] * 1365)
            await asyncio.sleep(0.001)
        assert sent < 16 << 20, "cut long before its time was over"
        writer.close()
        await nothing_left(gate, engine)


async def test_a_trailer_is_no_header(engine: FakeEngine) -> None:
    """Or it would come past whoever judged the head, here or in a proxy in front."""
    async with gateway(config(engine.url, key="sk-right")) as gate:
        body = json.dumps(gate.chat()).encode()
        request = CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(body), body)
        smuggled = b"authorization: Bearer sk-right\r\n\r\n"
        reader, writer = await raw(gate.port, request + smuggled)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.close()
        lawful = CHUNKED.replace(b"\r\n\r\n", b"\r\n" + smuggled)
        reader, writer = await raw(gate.port, lawful + request.partition(b"\r\n\r\n")[2] + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n") + b"0\r\n\r\n", b"400"),
        (post(b"{}", "/v1/chat/completions", "content-length: 3"), b"400"),
        (post(b"{}").replace(b"content-length: 2", b"content-length: -2"), b"400"),
        (post(b"{}" * 9).replace(b"content-length: 18", b"content-length: 2"), b"400"),
        (CHUNKED + b"zz\r\n", b"400"),
        (CHUNKED + b"ffffffffffffffffff\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    ],
    ids=["both", "twice", "negative", "short", "no-size", "vast", "http2", "tls"],
)
async def test_lies_about_lengths(engine: FakeEngine, said: bytes, status: bytes) -> None:
    async with impatient(engine) as gate:
        reader, writer = await raw(gate.port, said)
        assert b"HTTP/1.1 " + status in await told(reader)
        writer.close()
        await nothing_left(gate, engine)


async def test_an_upgrade_opens_no_other_door(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        asked = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
        key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        reader, writer = await raw(gate.port, HEAD + (asked + key).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_crowd_behind_one_answer_ends_the_connection(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        crowd = chat(gate, "fault:hang_mid_stream") + (HEAD + b"\r\n") * 200
        reader, writer = await raw(gate.port, crowd)
        await told(reader)
        writer.close()
        await nothing_left(gate, engine)


# Slow to read.


async def test_one_that_does_not_read_is_bounded_and_ends(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        _, writer = await raw(gate.port, chat(gate, "fault:endless"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: engine.running == 1, "the stream to run")
        most = 0
        while engine.running:
            most = max([most, *(c.transport.get_write_buffer_size() for c in connections(gate))])
            assert (await gate.ask()).status_code == 200, "nobody else is held up"
        assert UNSENT <= most <= UNSENT + 300 * 1024
        line = json.loads(
            [line for line in gate.lines if '"499"' in line or "client_gone" in line][-1]
        )
        assert (line["status"], line["finish"]) == (499, "client_gone")
        writer.close()
        await nothing_left(gate, engine)


async def test_many_answers_that_nobody_reads_end(engine: FakeEngine) -> None:
    """Not streams of an engine, so nothing but the connection itself can notice."""
    async with impatient(engine) as gate:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", gate.port))
            deaf.setblocking(False)
            request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 8
            while len(connections(gate)) > 1 or not gate.server.server_state.total_requests > 50:
                try:
                    deaf.send(request)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    break
                await asyncio.sleep(0.001)
            await until(lambda: len(connections(gate)) <= 1, "the deaf one to be gone")
        await nothing_left(gate, engine)


async def test_a_slow_reader_that_reads_on_gets_it_all(engine: FakeEngine) -> None:
    async with impatient(engine) as gate:
        reader, writer = await raw(gate.port, chat(gate, "tokens=6000 "))
        said = b""
        while b"[DONE]" not in said:
            said += await reader.read(60_000)
            await asyncio.sleep(0.02)
        assert len(re.findall(rb" w5999", said)) == 1
        writer.close()


# Many, and gone.


@pytest.mark.parametrize("how", ["half-closed", "reset"])
async def test_one_that_hangs_up_in_any_way(engine: FakeEngine, how: str) -> None:
    async with gateway(config(engine.url)) as gate:
        for fault in ("fault:hang_before_head", "fault:hang_mid_stream"):
            reader, writer = await raw(gate.port, chat(gate, fault))
            await until(lambda: engine.running == 1, "the request to run")
            if how == "half-closed":
                writer.write_eof()
                await told(reader)
                writer.close()
            else:
                writer.transport.abort()
            await until(lambda: engine.running == 0, "the engine to stop")
        await nothing_left(gate, engine)


async def test_ten_thousand_connect_and_leave(engine: FakeEngine) -> None:
    """In every state that a client can leave in."""
    async with gateway(config(engine.url)) as gate:
        began = time.monotonic()
        states = (b"", b"GET", HEAD, HEAD + b"\r\n", post(b"{").replace(b"length: 1", b"length: 9"))
        where = ("127.0.0.1", gate.port)
        for number in range(200):
            crowd = [socket.socket() for _ in range(50)]
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(where)
            await asyncio.sleep(0)
            for at, one in enumerate(crowd):
                if number % 20 == 0 and at == 0:
                    one.send(chat(gate, "fault:hang_mid_stream"))
                elif said := states[at % len(states)]:
                    one.send(said)
                if at % 2:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.close()
            await asyncio.sleep(0)
        print(f"10,000 in {time.monotonic() - began:.1f} s")
        await nothing_left(gate, engine)
        assert (await gate.ask()).status_code == 200


async def test_more_connections_than_there_may_be(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"connections": 8})) as gate:
        await gate.client.get("/health/live")  # the client's own connection is one of them
        crowd = [await raw(gate.port, b"") for _ in range(20)]
        await until(lambda: len(connections(gate)) == 8, "the house to be full")
        answers = [asyncio.create_task(told(reader)) for reader, _ in crowd]
        await until(lambda: sum(a.done() for a in answers) == 13, "the rest to be turned away")
        for answer in answers:
            assert not answer.done() or answer.result().startswith(b"HTTP/1.1 503")
            assert not answer.done() or b"\r\nretry-after: 2\r\n" in answer.result()
        assert (await gate.ask()).status_code == 200, "whoever is inside is served"
        full = '"connections_full", "most": 8, "turned_away": 13'
        await until(lambda: any(full in line for line in gate.lines), "the log to tell")
        for _, writer in crowd:
            writer.close()
        await asyncio.gather(*answers)
        await nothing_left(gate, engine)
        _, late = await raw(gate.port, b"")
        late.close()


async def test_out_of_descriptors_those_outside_wait(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        await gate.at_rest()
        crowd = [socket.socket() for _ in range(12)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 4, hard))
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", gate.port))
            await asyncio.sleep(0.1)
            assert 1 < len(connections(gate)) < 12
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in crowd:
            await asyncio.get_running_loop().sock_sendall(one, HEAD + b"\r\n")
            assert b"200 OK" in await asyncio.get_running_loop().sock_recv(one, 4096)
            one.close()
        await nothing_left(gate, engine)


def test_there_are_no_more_seats_than_descriptors() -> None:
    lines: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert seats(256, 100, Log("json", lines.append)) == 256
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256 + 100 + SPARE, "raised"
        assert lines == []
        fewer = seats(10**9, 100, Log("json", lines.append))
        assert fewer == resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100 - SPARE
        assert json.loads(lines[0])["event"] == "connections_capped"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

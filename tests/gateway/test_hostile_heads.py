"""A request's head has an end; a body of many small things is not worth reading."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support import FakeEngine, config, gateway, until


@pytest.mark.parametrize("line", [b"a: b\r\n", b"x"])
async def test_an_endless_head_is_cut(engine: FakeEngine, line: bytes) -> None:
    async with gateway(config(engine.url)) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nlong: ")
        told = b""
        for _ in range(200):
            try:
                writer.write(line * (8192 // len(line)))
                await writer.drain()
            except ConnectionError:
                break
        try:
            told = await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            told = b"HTTP/1.1 431"  # what we still wrote met a closed door first
        assert told.startswith(b"HTTP/1.1 431")
        writer.close()
        assert (await gate.ask()).status_code == 200


async def test_a_large_body_in_one_read_is_no_long_head(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        for _ in range(3):
            assert (await gate.ask("x" * 300_000)).status_code == 200


MANY = ('"messages":[' + ",".join(["{}"] * 300_000) + "]", '"a":[' + "1," * 1_600_000 + "1]")


@pytest.mark.parametrize("part", MANY, ids=["objects", "commas"])
async def test_a_body_of_many_small_things_is_refused_quickly(
    engine: FakeEngine, part: str
) -> None:
    async with gateway(config(engine.url)) as gate:
        begun = time.monotonic()
        headers = {"content-type": "application/json"}
        body = ('{"model":"fake",' + part + "}").encode()
        answer = await gate.client.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 413
        assert "the most this server reads" in answer.json()["error"]["message"]
        assert time.monotonic() - begun < 10


async def test_more_sequences_than_places_are_refused_and_block_nobody(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"running": 4})) as gate:
        answer = await gate.ask(n=8)
        assert answer.status_code == 400
        assert "8 sequences" in answer.json()["error"]["message"]
        assert (await gate.ask()).status_code == 200


async def test_whole_answers_keep_nobody_out(engine: FakeEngine) -> None:
    """They never tell a first token: what is unread of them is not counted."""
    async with gateway(config(engine.url, limits={"running": 8})) as gate:
        await gate.stream("hello " * 2000)  # teaches how fast prompts are read
        slow = [
            asyncio.create_task(gate.ask("fault:slow interval=0.1 tokens=20 " + "y" * 8000))
            for _ in range(3)
        ]
        await until(lambda: engine.running == 3, "the slow ones to run")
        assert (await gate.ask("hello " * 2000)).status_code == 200
        assert not any(one.done() for one in slow), "it did not wait for them"
        assert {answer.status_code for answer in await asyncio.gather(*slow)} == {200}


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.3"])
async def test_nobody_is_upgraded(engine: FakeEngine, protocol: str) -> None:
    """Another protocol would be another parser, and a way past what guards requests."""
    async with gateway(config(engine.url, key="sk-test-0123456789abcdef")) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        head = f"GET /version HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n"
        head += "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        writer.write(head.encode())
        assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_what_is_no_http_fills_no_log(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    async with gateway(config(engine.url, key="sk-test-0123456789abcdef")) as gate:
        for head in (b"\x16\x03\x01 TLS", upgrade):
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            writer.write(head + b"\r\n\r\n")
            assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 4")
            writer.close()
    assert [record.message for record in caplog.records if record.name.startswith("uvicorn")] == []

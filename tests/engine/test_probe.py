"""Asking an engine how it is, and trusting none of the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seekserve.engine.address import Address
from seekserve.engine.probe import MAX_PAGE, ModelCard, Probe
from tests.support import FakeEngine


@asynccontextmanager
async def answering(folder: Path, answer: bytes) -> AsyncIterator[Probe]:
    """A probe of a server that says the same to everybody."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    path = str(folder / "x.sock")
    server = await asyncio.start_unix_server(client, path)
    try:
        async with Probe(Address(path=path), timeout_s=1) as probe:
            yield probe
    finally:
        server.close()


def page(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def test_what_it_says_of_a_closed_door_depends_on_whether_it_had_a_key(
    tmp_path: Path,
) -> None:
    async with answering(tmp_path, page("", "401 Unauthorized")) as probe:
        assert await probe.models() is None
        assert probe.trouble == "it wants a key: set SEEKSERVE_ENGINE_API_KEY"
        async with Probe(Address(path=str(tmp_path / "x.sock")), "sk-engine") as knocking:
            assert await knocking.models() is None
        assert knocking.trouble.startswith("it does not take the key")


async def test_a_healthy_engine(engine: FakeEngine) -> None:
    async with Probe(Address.parse(engine.url)) as probe:
        assert await probe.alive()
        assert await probe.models() == (ModelCard("fake", 2048, 7),)
        assert "vllm:num_requests_running" in await probe.metrics()


async def test_nobody_there(tmp_path: Path) -> None:
    async with Probe(Address(path=str(tmp_path / "no.sock"))) as probe:
        assert not await probe.alive()
        assert await probe.models() is None
        assert await probe.metrics() == ""
        assert probe.trouble


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "{}",
        '{"data":5}',
        '{"data":[]}',
        '{"data":[{"id":""},{"id":7},"x"]}',
        '{"data":[[]]}',
        '{"data":null}',
        "null",
    ],
)
async def test_what_is_no_list_of_models(tmp_path: Path, body: str) -> None:
    async with answering(tmp_path, page(body)) as probe:
        assert await probe.models() is None
        assert probe.trouble


async def test_odd_cards_are_taken_as_far_as_they_make_sense(tmp_path: Path) -> None:
    card = {"id": "m", "max_model_len": "many", "created": True}
    async with answering(tmp_path, page(json.dumps({"data": [card, None]}))) as probe:
        assert await probe.models() == (ModelCard("m"),)
        assert not probe.trouble


@pytest.mark.parametrize(
    ("status", "alive"), [("200 OK", True), ("404 No", True), ("503 No", False), ("500 No", False)]
)
async def test_health(tmp_path: Path, status: str, alive: bool) -> None:
    listed = '{"data":[{"id":"m"}]}'
    async with answering(tmp_path, page(listed, status)) as probe:
        assert await probe.alive() is alive
        well = status == "200 OK"
        assert await probe.models() == ((ModelCard("m"),) if well else None)
        assert await probe.metrics() == (listed if well else "")


async def test_a_page_without_end_is_cut(tmp_path: Path) -> None:
    async with answering(tmp_path, page("x" * (MAX_PAGE + 1))) as probe:
        assert await probe.metrics() == ""
        assert await probe.prove("m", 9) == "it answered with more than 8 MiB"


async def test_a_proof_that_sends_elsewhere_is_none(tmp_path: Path) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with answering(tmp_path, moved) as probe:
        assert await probe.prove("m", 9) == "it sends elsewhere, with status 302"


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_broken_answers(tmp_path: Path, answer: bytes) -> None:
    async with answering(tmp_path, answer) as probe:
        assert await probe.models() is None
        assert not await probe.alive()


async def test_bytes_that_lie_about_their_coding(tmp_path: Path) -> None:
    lie = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nxxxx"
    async with answering(tmp_path, lie) as probe:
        assert await probe.models() is None
    odd = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe"
    async with answering(tmp_path, odd) as probe:
        assert await probe.models() is None
        assert await probe.metrics() == "\ufffd\ufffd"


@pytest.mark.parametrize("kind", [b"text/plain; x=\xe9", b"text/plain; charset=hex", b"\xff"])
async def test_a_kind_that_is_none_is_no_reason_to_fail(tmp_path: Path, kind: bytes) -> None:
    body = b'{"data":[{"id":"m"}]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    async with answering(tmp_path, head % (kind, len(body)) + body) as probe:
        assert await probe.models() == (ModelCard("m"),)
        assert await probe.metrics() == body.decode()
        assert await probe.prove("m", 9) == "it answered with JSON that holds no choices"
    async with answering(tmp_path, head % (kind, 1) + b"x") as probe:
        assert "that is not JSON" in await probe.prove("m", 9)

"""The client for engines: keep-alive, stale connections, back pressure, abort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seekserve.engine.address import Address
from seekserve.errors import EngineBroke, EngineLost, HungUp
from seekserve.gateway.connection import HIGH_WATER, Connection, Poured
from seekserve.gateway.upstream import Upstream
from tests.support import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that answers by script; `requests` are the heads it saw."""

    def __init__(self, address: Address, talk: Talk) -> None:
        self.address, self.talk = address, talk
        self.connections = self.ended = 0
        self.requests: list[str] = []

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head.decode())
                await reader.readexactly(len(b"{}"))
                await self.talk(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended += 1
            writer.close()


@asynccontextmanager
async def peer(folder: Path, talk: Talk) -> AsyncIterator[Peer]:
    path = str(folder / "peer.sock")
    scripted = Peer(Address(path=path), talk)
    server = await asyncio.start_unix_server(scripted.client, path)
    try:
        yield scripted
    finally:
        server.close()
        await until(lambda: scripted.ended == scripted.connections, "the peers to end")


@asynccontextmanager
async def upstream(key: str | None = None) -> AsyncIterator[Upstream]:
    made = Upstream(key)
    try:
        yield made
    finally:
        made.close()


async def say_ok(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def whole(connection: Connection) -> bytes:
    parts = []
    while (part := await connection.read()) != b"":
        parts.append(part or b"")
    return b"".join(parts)


async def ask(up: Upstream, address: Address) -> tuple[int, bytes]:
    async with up.exchange(address, "/v1/x", b"{}", "id-1", 5) as connection:
        assert await connection.head()
        return connection.status, await whole(connection)


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    async with peer(tmp_path, say_ok) as other, upstream("sk") as up:
        for _ in range(5):
            assert await ask(up, other.address) == (200, b"ok")
        assert other.connections == 1
        assert repr(up) == "<Upstream 1 idle>"
        head = other.requests[0]
        assert head.startswith("POST /v1/x HTTP/1.1\r\n")
        assert "authorization: Bearer sk\r\n" in head
        assert "x-request-id: id-1\r\n" in head


async def test_two_at_once_are_two_connections(tmp_path: Path) -> None:
    async with peer(tmp_path, say_ok) as other, upstream() as up:
        async with up.exchange(other.address, "/", b"{}", "a", 5) as one:
            assert await ask(up, other.address) == (200, b"ok")
            assert await one.head()
            assert await whole(one) == b"ok"
        assert (other.connections, repr(up)) == (2, "<Upstream 2 idle>")


async def test_a_connection_the_engine_closed_is_not_used_again(tmp_path: Path) -> None:
    async def ok_and_close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async with peer(tmp_path, ok_and_close) as other, upstream() as up:
        for _ in range(3):
            assert await ask(up, other.address) == (200, b"ok")
            (kept,) = up._idle[other.address]
            await until(lambda kept=kept: not kept.usable, "the end to be seen")  # type: ignore[misc]
        assert other.connections == 3


@pytest.mark.parametrize("ending", [b"connection: close\r\n", b""])
async def test_bytes_out_of_turn_or_a_farewell_end_a_connection(
    tmp_path: Path, ending: bytes
) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\n" + ending + b"\r\n"))
        if not ending:
            writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")

    async with peer(tmp_path, talk) as other, upstream() as up:
        assert await ask(up, other.address) == (200, b"ok")
        assert await ask(up, other.address) == (200, b"ok")
        assert repr(up) == "<Upstream 0 idle>"


async def test_leaving_early_aborts(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:-1])
        assert await reader.read(1) == b""

    async with peer(tmp_path, half) as other, upstream() as up:
        async with up.exchange(other.address, "/", b"{}", "a", 5) as connection:
            assert await connection.head()
            assert await connection.read() == b"o"
        await until(lambda: other.ended == 1, "the engine to see the end")
        assert repr(up) == "<Upstream 0 idle>"


async def test_a_silence_is_a_tick_not_an_end(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK[:-1])
        await asyncio.sleep(0.1)
        writer.write(OK[-1:])

    async with peer(tmp_path, talk) as other, upstream() as up:  # noqa: SIM117
        async with up.exchange(other.address, "/", b"{}", "a", 0.02) as connection:
            assert not await connection.head()
            assert not await connection.head()
            go.set()
            await until(connection.head)
            assert await connection.read() == b"o"
            assert await connection.read() is None
            assert await whole(connection) == b"k"


async def test_reading_pauses_while_nobody_fetches(tmp_path: Path) -> None:
    sent = 0
    size = 64 * HIGH_WATER

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * HIGH_WATER)
            await writer.drain()
            sent += HIGH_WATER

    async with peer(tmp_path, flood) as other, upstream() as up:  # noqa: SIM117
        async with up.exchange(other.address, "/", b"{}", "a", 5) as connection:
            assert await connection.head()
            await until(lambda: connection._paused, "the reading to pause")
            await asyncio.sleep(0.1)
            assert sent < size / 2
            assert len(await whole(connection)) == size


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nx"],
)
async def test_an_answer_cut_short(tmp_path: Path, answer: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with peer(tmp_path, talk) as other, upstream() as up:
        with pytest.raises(EngineBroke):
            await ask(up, other.address)
        assert repr(up) == "<Upstream 0 idle>"


async def test_nobody_listens(tmp_path: Path) -> None:
    async with upstream() as up:
        for address in (Address(path=str(tmp_path / "none")), Address(host="127.0.0.1", port=9)):
            with pytest.raises(EngineBroke) as caught:
                await ask(up, address)
            assert caught.value.code == "engine_unreachable"


async def test_a_paused_connection_hears_again_when_it_is_reused(tmp_path: Path) -> None:
    """An answer larger than HIGH_WATER came whole before anybody fetched it; then it is poured."""
    body = b"x" * (2 * HIGH_WATER)

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with peer(tmp_path, talk) as scripted, upstream() as up:
        for _ in range(3):
            got: list[bytes] = []

            def sink(data: bytes, got: list[bytes] = got) -> bool:
                got.append(data)
                return True

            async with up.exchange(scripted.address, "/v1/x", b"{}", "id-1", 5) as connection:
                assert await connection.head()
                await asyncio.sleep(0.05)  # reading pauses meanwhile
                connection.pour(sink)
                assert await connection.poured() is Poured.DONE
            assert b"".join(got) == body
        assert scripted.connections == 1


async def test_a_connection_that_ended_while_its_client_was_full_hears_again(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path, say_ok) as scripted, upstream() as up:
        async with up.exchange(scripted.address, "/v1/x", b"{}", "id-1", 5) as connection:
            assert await connection.head()
            connection.pour(lambda _: False)  # full at the first byte, and it was the last too
            assert await connection.poured() is Poured.DONE
        assert await ask(up, scripted.address) == (200, b"ok")
        assert scripted.connections == 1


async def test_an_idle_connection_that_hung_up_while_we_wrote_is_told_apart(tmp_path: Path) -> None:
    """Its request was not worked on, so it may be sent again; any other cut may not."""
    asked = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            writer.close()  # takes the request and says nothing
        else:
            writer.write(OK)

    async with peer(tmp_path, talk) as scripted, upstream() as up:
        assert await ask(up, scripted.address) == (200, b"ok")
        with pytest.raises(HungUp):
            await ask(up, scripted.address)
        async with up.exchange(scripted.address, "/", b"{}", "a", 5, fresh=True) as connection:
            assert await connection.head()
            assert not connection.reused
            assert await whole(connection) == b"ok"


async def test_one_that_was_severed_is_no_idle_connection_that_hung_up(tmp_path: Path) -> None:
    """Its request is the lost engine's, to be sent to another: it would only be sent there again."""
    asked = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            writer.write(OK)

    async with peer(tmp_path, talk) as scripted, upstream() as up:
        assert await ask(up, scripted.address) == (200, b"ok")
        running = asyncio.create_task(ask(up, scripted.address))
        await until(lambda: asked == 2)
        up.sever(scripted.address)
        with pytest.raises(EngineLost):
            await running
        assert scripted.connections == 1


@pytest.mark.parametrize("hint", [b"100 Continue", b"103 Early Hints\r\nlink: x"])
async def test_what_comes_before_an_answer_is_not_it(tmp_path: Path, hint: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + hint + b"\r\n\r\n")
        await writer.drain()
        writer.write(OK)

    async with (
        peer(tmp_path, talk) as there,
        upstream() as made,
        made.exchange(there.address, "/", b"{}", "id", 5) as connection,
    ):
        assert await connection.head()
        assert (connection.status, await connection.read()) == (200, b"ok")
        assert b"link" not in connection.headers


async def test_a_second_answer_is_not_part_of_the_first(tmp_path: Path) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + OK)

    async with peer(tmp_path, talk) as there, upstream() as made:
        async with made.exchange(there.address, "/", b"{}", "id", 5) as connection:
            assert await connection.head()
            assert await connection.read() == b"ok"
            assert await connection.read() == b""
        assert repr(made) == "<Upstream 0 idle>"

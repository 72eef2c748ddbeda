"""A server that means ill: nothing of it ends the program, keeps it for ever, or makes it tell the key."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seekserve.errors import Unanswered
from seekserve.terminal import turns
from seekserve.terminal.answer import Answer
from seekserve.terminal.answering import answered
from seekserve.terminal.asking import Site, page, refusal
from seekserve.terminal.following import follow
from seekserve.terminal.seen import Seen
from seekserve.terminal.telling import Plainly
from seekserve.terminal.wishes import Unfit
from tests.support import until
from tests.terminal.test_parts import drawn

KEY = "sk-seek-of-an-operator"
DEEP = b"[" * 100_000
STREAM = "200 OK\r\ncontent-type: text/event-stream"


@asynccontextmanager
async def saying(status: str, body: bytes, again: bytes = b"") -> AsyncIterator[Site]:
    """Answers all that it is asked with this; `again` follows ten times a second."""

    talks = set[asyncio.Task[None] | None]()

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n".encode() + body)
        while again and b"/live" in asked and not reader.at_eof():
            await asyncio.sleep(0.1)
            writer.write(again)
        writer.close()

    async with await asyncio.start_server(told, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield Site(url, url, KEY)
        await until(lambda: all(talk and talk.done() for talk in talks), "the talks to end")


async def test_json_without_a_bottom_is_none() -> None:
    assert refusal(DEEP) is None
    async with saying("200 OK", DEEP) as at:
        with pytest.raises(Unanswered, match="no JSON"):
            await page(at, "/console/api/state")
    async with saying(STREAM, b"data: " + DEEP + b"\n\n") as at:
        with pytest.raises(Unanswered, match="broke"):
            await answered(at, {}, Answer(0.0), Plainly(io.StringIO()))


async def test_a_refusal_that_tells_the_key_does_not_show_it() -> None:
    body = f'{{"error": {{"message": "no such key: {KEY}", "todo": "try {KEY}"}}}}'.encode()
    async with saying("401 Unauthorized", body) as at:
        with pytest.raises(Unanswered) as refused:
            await page(at, "/v1/models")
    assert KEY not in refused.value.message + refused.value.todo


async def test_a_key_is_not_taken_elsewhere() -> None:
    async with saying("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/x", b"") as at:
        with pytest.raises(Unanswered, match="answered 307"):
            await page(at, "/v1/models")


async def test_a_line_that_is_kept_alive_and_tells_nothing_is_lost() -> None:
    """Else figures that were true once would stand there as if they still were."""
    async with saying(STREAM, b"{}", b": still here\n\n") as at:
        seen = Seen(at.name)
        watching = asyncio.create_task(follow(at, seen, lambda: None, silence_s=0.3))
        try:
            await until(lambda: "silent" in seen.trouble, "the line to be given up")
        finally:
            watching.cancel()


def test_a_state_of_odd_shapes_is_drawn() -> None:
    seen = Seen("one")
    seen.stated({"api": ["x"], "tier": {"a": 1}, "version": True, "engines": [[]], "classes": 3})
    assert "one" in drawn(seen, width=80, rows=20)


def test_the_home_of_nobody_is_no_file() -> None:
    with pytest.raises(Unfit, match="nobody"):
        turns.place("~nobody-of-that-name/x")
    assert turns.place("/tmp/x") == Path("/tmp/x")

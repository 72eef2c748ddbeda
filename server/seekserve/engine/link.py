"""One connection between two nodes of an engine, its token proven: words in, words out, and a pulse.

Whoever is silent for LOST_S, or says anything that is not the next sealed line, is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from seekserve.engine.protocol import (
    MOST_GREETING,
    MOST_LINE,
    NOT_TAKEN,
    Beat,
    Seal,
    Side,
    Word,
    answer,
    greeting,
    proof,
    proven,
    read_answer,
    read_greeting,
)
from seekserve.errors import NodeLost

GREET_S = 5.0
PIECE = 1024  # the limit of the readers that links are made of
MOST_UNREAD = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds between two beats, and of silence that is too long."""

    beat_s: float = 2.0
    lost_s: float = 7.0


class Link:
    """`peer` and `own` are the two ends' addresses."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ours: Seal,
        theirs: Seal,
        pulse: Pulse,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._ours, self._theirs, self._pulse = ours, theirs, pulse
        self.peer: str = writer.get_extra_info("peername")[0]
        self.own: str = writer.get_extra_info("sockname")[0]

    def say(self, word: Word) -> None:
        """Never waits: one that does not read is dropped, one that is gone hears nothing."""
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            self._writer.transport.abort()
        if not self._writer.is_closing():
            self._writer.write(self._ours.line(word))

    async def hear(self) -> Word:
        """The next word that is more than a beat. Raises NodeLost."""
        while True:
            word = self._theirs.open(await _line(self._reader, self._pulse.lost_s))
            if not isinstance(word, Beat):
                return word

    def cut(self) -> None:
        """At once, whatever was still to be said."""
        self._writer.transport.abort()

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """While inside, the other end hears that we are there; afterwards the connection is closed."""
        beats = asyncio.create_task(self._beats())
        try:
            yield
        finally:
            beats.cancel()
            await closed(self._writer)

    async def _beats(self) -> None:
        while True:
            self.say(Beat())
            await asyncio.sleep(self._pulse.beat_s)


async def admitted(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, pulse: Pulse
) -> Link:
    """The head's side of a greeting. The stranger proves first, so the head proves nothing to strangers.
    Raises NodeLost.
    """
    ours = secrets.token_hex(32)
    writer.write(greeting(ours))
    try:
        nonce = read_answer(token, await _line(reader, GREET_S, MOST_GREETING), ours)
    except NodeLost:
        if not writer.is_closing():
            writer.write(NOT_TAKEN)
        raise
    writer.write(proof(token, "head", ours + nonce).encode() + b"\n")
    return _link(reader, writer, token, ours + nonce, "head", pulse)


async def presented(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, pulse: Pulse
) -> Link:
    """The other node's side of it. Raises NodeLost."""
    ours = secrets.token_hex(32)
    theirs = read_greeting(await _line(reader, GREET_S, MOST_GREETING))
    writer.write(answer(token, theirs, ours))
    proven(token, await _line(reader, GREET_S, MOST_GREETING), theirs + ours)
    return _link(reader, writer, token, theirs + ours, "node", pulse)


def _link(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    token: str,
    nonces: str,
    side: Side,
    pulse: Pulse,
) -> Link:
    other: Side = "node" if side == "head" else "head"
    return Link(reader, writer, Seal(token, nonces, side), Seal(token, nonces, other), pulse)


async def _line(reader: asyncio.StreamReader, within_s: float, most: int = MOST_LINE) -> bytes:
    """Raises NodeLost."""
    try:
        async with asyncio.timeout(within_s):
            return await _whole(reader, most)
    except asyncio.IncompleteReadError as error:
        raise NodeLost("the connection ended") from error
    except TimeoutError as error:
        raise NodeLost(f"nothing was heard of it for {within_s:.0f} s") from error
    except OSError as error:
        raise NodeLost(f"the connection broke: {error.strerror or error}") from error


async def _whole(reader: asyncio.StreamReader, most: int) -> bytes:
    """The reader itself holds no more than PIECE, so that strangers cost no memory."""
    line = b""
    while len(line) <= most:
        try:
            line += await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            line += await reader.readexactly(error.consumed)
        else:
            return line
    raise NodeLost("it sends a line without an end")


async def closed(writer: asyncio.StreamWriter) -> None:
    """What was said goes out first, if it goes at once."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    writer.transport.abort()

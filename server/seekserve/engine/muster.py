"""Where the other nodes of an engine join its head: who is here, and who is turned away.

Deny by default: nobody is a member before he has proven the token and is of the head's version and hardware.
The list of members changes only here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from seekserve.engine.hardware import refusal
from seekserve.engine.link import GREET_S, PIECE, Link, Pulse, admitted, closed
from seekserve.engine.protocol import Facts, Leaving, Refused, Taken
from seekserve.engine.shift import Member, Shift
from seekserve.errors import NodeLost
from seekserve.log import Log
from seekserve.settings import authority

MOST_STRANGERS, MOST_OF_ONE = 16, 4  # and from one address, which must not keep others out
SAY_AGAIN_S = 60.0
MOST_SAID = 256


class Muster:
    """`async with` it: nodes can join while inside. `nodes` counts the head."""

    def __init__(
        self,
        door: socket.socket,
        token: SecretStr,
        facts: Facts,
        nodes: int,
        log: Log,
        pulse: Pulse | None = None,
    ) -> None:
        self._door, self._token, self.facts, self.nodes = door, token, facts, nodes
        self._log, self._pulse = log, pulse or Pulse()
        self.host, self.port = door.getsockname()[:2]
        self._members: list[Member] = []
        self._guests: set[asyncio.Task[None]] = set()
        self._strangers = Counter[str]()
        self._epoch = 0
        self._shift: Shift | None = None
        self._said: dict[tuple[str, str], float] = {}
        self.changed = asyncio.Event()
        self.counted: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<Muster {self.joined} of {self.nodes} at {self.where}>"

    @property
    def where(self) -> str:
        return authority(self.host, self.port)

    @property
    def joined(self) -> int:
        """Nodes that are here, the head among them."""
        return 1 + len(self._members)

    @property
    def whole(self) -> bool:
        return self.joined == self.nodes

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._enter, sock=self._door, limit=PIECE)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        guests = list(self._guests)
        for guest in guests:
            guest.cancel()
        await asyncio.gather(*guests, return_exceptions=True)

    def begin(
        self,
        orders: Sequence[tuple[tuple[str, ...], dict[str, str]]],
        grace_s: float,
    ) -> Shift:
        """All nodes must be here. Ranks go by address, so that a node that comes back has its own again."""
        self._epoch += 1
        members = sorted(self._members, key=lambda one: ipaddress.ip_address(one.link.peer))
        for rank, member in enumerate(members, 1):
            member.rank = rank
        self._shift = Shift(self._epoch, members)
        self._shift.begin(orders, grace_s)
        return self._shift

    def drop(self, member: Member) -> None:
        """One that did not do as it was told: without a connection its engine ends."""
        self._log.event("node", state="dropped", address=member.link.peer)
        member.link.cut()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = (writer.get_extra_info("peername") or ("?",))[0]
        here = self._strangers
        if here.total() >= MOST_STRANGERS or here[address] >= MOST_OF_ONE:
            writer.transport.abort()
            return
        here[address] += 1
        guest = asyncio.create_task(self._met(reader, writer, address))
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)

    async def _met(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        met = Counter({address: 1})
        try:
            async with asyncio.timeout(2 * GREET_S):
                link = await admitted(reader, writer, self._token.get_secret_value(), self._pulse)
                facts = await link.hear()
            self._strangers -= met
            met.clear()
            if isinstance(facts, Facts):
                await self._welcome(link, facts)
        except (NodeLost, TimeoutError) as error:
            self._turned_away(address, str(error) or "it does not say who it is")
        finally:
            self._strangers -= met
            await closed(writer)

    async def _welcome(self, link: Link, facts: Facts) -> None:
        why = refusal(self.facts, facts)
        if not why and self.whole:
            there = ", ".join(member.link.peer for member in self._members)
            why = Refused(why="full", told=f"all {self.nodes} nodes are here already: {there}")
        if why:
            link.say(why)
            self._turned_away(link.peer, why.told)
            return
        member = Member(link, facts)
        self._members.append(member)
        link.say(Taken(nodes=self.nodes))
        self._log.event("node", state="joined", address=link.peer, name=facts.name, **self._count())
        self._news()
        async with link.alive():
            await self._attended(member)

    async def _attended(self, member: Member) -> None:
        """Until it is gone."""
        why = "the server stops"
        try:
            while not isinstance(word := await member.link.hear(), Leaving):
                if self._shift:
                    self._shift.told(member, word)
            why = "it is being stopped"
        except NodeLost as error:
            why = str(error)
        finally:
            self._members.remove(member)
            self._log.event(
                "node", state="left", address=member.link.peer, cause=why, **self._count()
            )
            if self._shift:
                self._shift.lost(member, f"left: {why}")
            self._news()

    def _count(self) -> dict[str, int]:
        return {"joined": self.joined, "nodes": self.nodes}

    def _news(self) -> None:
        self.changed.set()
        self.counted()

    def _turned_away(self, address: str, why: str) -> None:
        """One line a minute for the same: whoever knocks on and on must not fill the disk."""
        now, what = time.monotonic(), (address, why)
        if now - self._said.get(what, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said.pop(what, None)
            self._said[what] = now
            if len(self._said) > MOST_SAID:
                del self._said[next(iter(self._said))]
            self._log.event("node", state="refused", address=address, cause=why)

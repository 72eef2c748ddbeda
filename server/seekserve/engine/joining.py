"""Every node but the head: joins it, runs what it is told, says how that ends, and joins again.

It plans nothing and runs one program alone, this installation's engine; its engine never outlives the
connection to the head that asked for it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from seekserve.engine.elsewhere import inbound, network, runnable
from seekserve.engine.link import GREET_S, PIECE, Link, Pulse, closed, presented
from seekserve.engine.process import HURRY_S, Command
from seekserve.engine.protocol import Facts, Leaving, Refused, Start, Stop, Taken
from seekserve.engine.work import Work, unfit
from seekserve.errors import ConfigError, NodeLost
from seekserve.log import Log
from seekserve.plan.command import own
from seekserve.settings import Listen, authority

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 5.0


@dataclass(frozen=True)
class Post:
    """What a node has of its own: `entry` are the words that a command must begin with."""

    head: Listen
    token: SecretStr
    facts: Facts
    entry: tuple[str, ...]
    run_dir: Path
    log_file: Path
    runs: Callable[[tuple[str, ...]], tuple[str, ...]] = runnable


class Joining:
    """`heard` is told, in words for people, what goes on."""

    def __init__(
        self, post: Post, log: Log, heard: Callable[[str], None], pulse: Pulse | None = None
    ) -> None:
        self._post, self._log, self._heard = post, log, heard
        self._pulse = pulse or Pulse()
        self._where = authority(post.head.host, post.head.port)
        self._wait_s = FIRST_WAIT_S
        self._told = ""

    async def run(self) -> None:
        """Until cancelled. Raises ConfigError where the head is of another version."""
        while True:
            try:
                await self._once()
            except NodeLost as error:
                self._tell(f"{self._where}: {error}", "apart", cause=str(error))
            await asyncio.sleep(self._wait_s * random.uniform(0.8, 1.2))  # noqa: S311  not a secret
            self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s)

    async def _once(self) -> None:
        """One connection, from its greeting to its end."""
        head = self._post.head
        try:
            async with asyncio.timeout(GREET_S):
                reader, writer = await asyncio.open_connection(head.host, head.port, limit=PIECE)
        except (OSError, TimeoutError) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or "it does not answer"
            raise NodeLost(f"no head listens there yet ({why.lower()}); trying on") from error
        try:
            link = await presented(reader, writer, self._post.token.get_secret_value(), self._pulse)
            async with link.alive():
                link.say(self._post.facts)
                await self._member(link, await link.hear())
        finally:
            await closed(writer)

    async def _member(self, link: Link, word: object) -> None:
        if isinstance(word, Refused):
            self._refused(word)
        if not isinstance(word, Taken):
            raise NodeLost("it says neither yes nor no")
        self._wait_s = FIRST_WAIT_S
        self._tell(f"joined {self._where}, one of {word.nodes} nodes", "joined", nodes=word.nodes)
        work: Work | None = None
        try:
            while True:
                said = await link.hear()
                if isinstance(said, Start):
                    self._heard(f"starting the engine, as node {said.rank} of {word.nodes}")
                    work = Work(said.epoch, link, self._heard, self._log, before=work)
                    work.begin(self._command(said, link), self._post.log_file, said.grace_s)
                elif isinstance(said, Stop) and work:
                    work.end(said)
        except NodeLost:
            if work:
                work.hurry(HURRY_S)
            raise
        except asyncio.CancelledError:
            link.say(Leaving())
            raise
        finally:
            if work:
                await work.ended()

    def _refused(self, word: Refused) -> None:
        if word.why == "version":
            raise ConfigError(
                f"{self._where} does not take this node: {word.told}.",
                "Install the same versions on every node, then start this one again.",
            )
        raise NodeLost(f"it does not take this node: {word.told}; trying on")

    def _command(self, order: Start, link: Link) -> Command | str:
        """What to run, or why that is not run here."""
        post = self._post
        argv = inbound(order.argv)
        if why := unfit(argv, post.entry):
            return why
        ours = own(post.run_dir) | network(link.own, os.environ)
        said = {name: value for name, value in ours.items() if name not in order.env}
        return Command(post.runs(argv), said | order.env)

    def _tell(self, words: str, state: str, **facts: str | int) -> None:
        """The same is said once, however often it is tried."""
        if words != self._told:
            self._told = words
            self._heard(words)
            self._log.event("node", state=state, head=self._where, **facts)

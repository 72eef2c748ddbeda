"""One engine's life: stopped -> starting -> ready -> draining -> stopped | failed.

`run` is the only writer of an engine's state; everybody else reads `snapshot`. An attached engine is
somebody else's server that we only watch; one of our own is in `engine.launched`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from seekserve.engine import exposition
from seekserve.engine.address import Address
from seekserve.engine.figures import UNTOLD, Figures
from seekserve.engine.probe import UNREACHABLE, ModelCard, Probe
from seekserve.engine.vigil import Seen
from seekserve.engine.watch import PROOF_S, USUAL, Watch
from seekserve.log import Log
from seekserve.manner import UNKNOWN, Manner
from seekserve.plan.promise import KV_TOKENS

POLL_S = 0.25
NODES = "nodes"  # the stage of waiting for the other nodes of an engine
PROVE_S = 1.0  # between two tries of one that was found not to work
ENDS = ("exited", "fenced", "stalled")
"""How lives end that nobody asked to: by themselves, by the watch, or by a start that took too long."""


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of an engine now. `stage_s` are seconds spent in each stage of the last start.

    `planned` and `actual` are figures of its last start by name (`startup.figure`): what the planner
    promised, and what the engine said it came to. `ends` counts the lives that ended badly, by how.
    Of its `nodes`, so many have `joined`, at `where`.
    """

    name: str
    address: Address
    models: tuple[ModelCard, ...]
    state: State = State.STOPPED
    stage: str = ""
    share: float | None = None
    since: float = 0.0
    restarts: int = 0
    stage_s: dict[str, float] = field(default_factory=dict)
    planned: Mapping[str, float] = field(default_factory=dict)
    actual: Mapping[str, float] = field(default_factory=dict)
    cause: str = ""
    todo: str = ""
    ends: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    nodes: int = 1
    joined: int = 1
    where: str = ""

    def __repr__(self) -> str:
        stage = f"/{self.stage}" if self.state is State.STARTING else ""
        return f"<Engine {self.name} {self.state}{stage} restarts={self.restarts} {self.address}>"


Knows = Callable[[ModelCard], Manner]
"""What is known of a model beyond what its engine lists."""


class Engine:
    """What launched and attached engines share: a snapshot, and who wants to hear of changes."""

    def __init__(
        self,
        name: str,
        address: Address,
        models: tuple[ModelCard, ...],
        log: Log,
        key: str | None = None,
        knows: Knows = lambda card: UNKNOWN,
    ) -> None:
        self.snapshot = Snapshot(name, address, models)
        self._knows = knows
        self.probe = Probe(address, key)
        self._log = log
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._watch: Watch | None = None
        self.seen: Callable[[], Seen] = Seen
        self.pace = USUAL

    def __repr__(self) -> str:
        return repr(self.snapshot)

    @property
    def ready(self) -> bool:
        return self.snapshot.state is State.READY

    @property
    def figures(self) -> Figures:
        """What its own page said when it was last looked at, which is once a second while it is ready."""
        return self._watch.figures if self._watch else UNTOLD

    def listen(self, listener: Callable[[Snapshot], None]) -> None:
        """`listener` is called at every change of state or stage, from the engine's own task."""
        self._listeners.append(listener)

    def ignore(self, listener: Callable[[Snapshot], None]) -> None:
        """`listener` wants to hear no more."""
        self._listeners.remove(listener)

    def doubt(self) -> None:
        """Those who use it have reason to think that it answers wrong: it is asked to prove itself."""
        if self._watch:
            self._watch.doubt()

    def renew(self) -> None:
        """Asks for a restart: what runs is finished first. One of somebody else's is left alone."""

    def retire(self) -> None:
        """Asks for its end: what runs is finished first, where the engine is ours."""

    def hurry(self) -> None:
        """It is being stopped, and has no more grace; one of somebody else's needs none."""

    def give_up(self, cause: str) -> None:
        """Nobody minds it any more."""
        self._become(State.FAILED, cause=cause)

    async def run(self) -> None:
        raise NotImplementedError

    async def _until_amiss(self) -> str:
        """While it is ready. Returns what is wrong with it."""
        model = self.snapshot.models[0].id
        self._watch = Watch(self.probe, model, lambda: self.seen(), self._youngest_s, self.pace)
        try:
            return await self._watch.until_amiss()
        finally:
            self._watch = None

    def _youngest_s(self) -> float | None:
        """Seconds since the last process of it began, where that can be known."""
        return None

    def _known(self, cards: Iterable[ModelCard]) -> tuple[ModelCard, ...]:
        return tuple(dataclasses.replace(card, manner=self._knows(card)) for card in cards)

    def _ended(self, how: str) -> None:
        ends = self.snapshot.ends
        self.snapshot = dataclasses.replace(self.snapshot, ends={**ends, how: ends[how] + 1})

    def _become(self, state: State, **facts: object) -> None:
        before = self.snapshot
        self.snapshot = dataclasses.replace(before, state=state, since=time.monotonic(), **facts)  # type: ignore[arg-type]
        if state is not before.state:
            cause = self.snapshot.cause.partition("\n")[0] if state is not State.READY else ""
            self._log.event("engine", name=before.name, state=state.value, cause=cause or None)
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self.snapshot)


class Attached(Engine):
    """A server that already runs. Ready while it lists models and makes tokens."""

    async def run(self) -> None:
        self._become(State.STARTING, stage="connect")
        amiss = ""
        try:
            while True:
                await self._until_listed(amiss)
                amiss = await self._until_amiss()
                self._ended("fenced")
                restarts = self.snapshot.restarts + 1
                self._become(State.STARTING, stage="connect", cause=amiss, restarts=restarts)
        finally:
            self._become(State.STOPPED)
            await self.probe.__aexit__()

    async def _until_listed(self, amiss: str) -> None:
        """One that was found `amiss` has to make a token as well."""
        while (cards := await self.probe.models()) is None or (
            amiss and await self.probe.prove(cards[0].id, PROOF_S)
        ):
            self._puzzle(self.probe.trouble)
            await asyncio.sleep(PROVE_S if amiss else POLL_S)
        tokens = exposition.kv_tokens(await self.probe.metrics())
        actual = {KV_TOKENS: float(tokens)} if tokens else {}
        self._become(State.READY, models=self._known(cards), actual=actual, cause="")

    def _puzzle(self, trouble: str) -> None:
        """Says once why it is not listed. That nothing answers adds nothing to an older cause."""
        cause = self.snapshot.cause
        if trouble and trouble != cause and not (cause and trouble == UNREACHABLE):
            self._become(State.STARTING, cause=trouble)
            self._log.event("waiting", name=self.snapshot.name, cause=trouble)

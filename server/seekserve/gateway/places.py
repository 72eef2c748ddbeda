"""The places there are at the engines: which of them one more request may have, and who holds them.

Places are counted in sequences and in tokens (`load`), kept for classes that are due them (`pace`), and
left by leases. Admission alone writes here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from random import Random

from seekserve.engine.engine import Engine
from seekserve.engine.fleet import Fleet
from seekserve.engine.vigil import Seen
from seekserve.gateway.ask import Clock
from seekserve.gateway.balance import Homes, choose
from seekserve.gateway.breaker import Breaker
from seekserve.gateway.lease import Lease, Turn
from seekserve.gateway.load import PREFILL_WINDOW_S, YIELDING_WINDOW_S, Capacity, Load
from seekserve.gateway.pace import Drain, Inflow, Shares
from seekserve.gateway.sizes import Size
from seekserve.settings import Limits, Tenancy

KV_TOKENS = "kv_cache_tokens"
STARVES_S = 2.0  # in front of its line without room, and nobody passes it any more


class Places:
    """`loads` is by engine; `limits.running` says how many sequences each takes."""

    def __init__(
        self, fleet: Fleet, limits: Limits, clock: Clock, classes: Mapping[str, Tenancy]
    ) -> None:
        self._fleet, self._limits, self._clock = fleet, limits, clock
        self.loads: dict[str, Load] = {}
        self.breakers: dict[str, Breaker] = {}
        self._homes, self._chance = Homes(), Random()  # noqa: S311  of two engines, one
        self.shares, self.drain, self.inflow = Shares(classes), Drain(), Inflow()

    def adopt(self, limits: Limits, classes: Mapping[str, Tenancy]) -> None:
        """What goes in from now on goes by these."""
        self._limits = limits
        self.shares.adopt(classes)

    @property
    def taken(self) -> int:
        """Sequences, at all engines."""
        return sum(load.sequences for load in self.loads.values())

    @property
    def in_flight(self) -> float:
        """Tokens of cost that the engines are working on."""
        return sum(load.cost for load in self.loads.values())

    @property
    def drained_per_s(self) -> float:
        """Tokens of cost that leave in a second."""
        return self.drain.per_s(self.in_flight)

    def outlook(self, model: str, ahead: float) -> tuple[float, float]:
        """Seconds until so much (tokens of cost) has been sent to the engines, and seconds from one place
        that frees to the next. What there is room for goes as it lately went, or faster; the rest goes as
        others end.
        """
        in_flight = self.in_flight
        self.drain.pass_to(self._clock(), in_flight)
        drained_per_s = self.drain.per_s(in_flight)
        room = min(ahead, self._room(model))
        sent_s = room / max(self.inflow.per_s, drained_per_s) if room else 0.0
        each_s = in_flight / max(1, self.taken) / drained_per_s
        return sent_s + (ahead - room) / drained_per_s, each_s

    def _room(self, model: str) -> float:
        """Tokens of cost that go in before anything ends, if what waits is as what runs."""
        room = 0.0
        for engine in self._ready(model):
            load = self._load(engine)
            if 0 < load.sequences < self._limits.running:
                room += load.cost / load.sequences * load.places(self._capacity(engine))
        return room

    def reads_s(self, size: Size) -> float:
        """Seconds to a first token, at the engine that is quickest now."""
        return min((load.prefill_s(size) for load in self.loads.values()), default=0.0)

    def free_at(self, model: str) -> bool:
        """Whether any engine has a place left, for whomever."""
        places = self._limits.running
        return any(self._load(engine).sequences < places for engine in self._ready(model))

    def engine_for(self, turn: Turn, waiting: Container[str]) -> Engine | None:
        """The ready engine with the least to do that it fits into, if its class may have a place now,
        while the classes in `waiting` have others in line.
        """
        if not self._may(turn, waiting):
            return None
        yields = self.shares.yields(turn.key_class, self._clock(), waiting)
        window_s = YIELDING_WINDOW_S if yields else PREFILL_WINDOW_S
        return self._chosen(turn, window_s)

    def engine_again(self, turn: Turn) -> Engine | None:
        """The same for one that had a place at an engine that failed it: whatever its class is due."""
        return self._chosen(turn, PREFILL_WINDOW_S)

    def _chosen(self, turn: Turn, window_s: float) -> Engine | None:
        free = [
            (engine, load.cost)
            for engine in self._ready(turn.wish.model)
            if not turn.shuns(engine)
            and (load := self._load(engine)).fits(turn.size, self._capacity(engine), window_s)
        ]
        if len(free) < 2:
            return free[0][0] if free else None
        name = self._homes.of(turn.marks)
        home = next((engine for engine, _ in free if engine.snapshot.name == name), None)
        return choose(free, home, self._chance)

    def starves(self, turn: Turn, waiting: Container[str]) -> bool:
        """Whether one whose class is due a place has long been too large for the room there is, which
        smaller ones would take again and again.
        """
        if turn.first_since is None:
            turn.first_since = self._clock()
        if self._clock() - turn.first_since < STARVES_S or not self._may(turn, waiting):
            return False
        fitting = [
            (self._load(engine), self._capacity(engine))
            for engine in self._ready(turn.wish.model)
            if self._capacity(engine).ever(turn.size)
        ]
        return bool(fitting) and not any(load.has_room(turn.size, c) for load, c in fitting)

    def may_pass(self, turn: Turn, starved: Turn) -> bool:
        """Whether its class comes before the starved one's and has less than it is promised."""
        if not self.shares.before(turn.key_class, starved.key_class):
            return False
        return self.shares.due(turn.key_class, turn.size.sequences, self._seats())

    def begin(self, turn: Turn, engine: Engine) -> Lease:
        load, now = self._load(engine), self._clock()
        self.drain.pass_to(now, self.in_flight)
        self.shares.add(turn.key_class, turn.size.sequences, now)
        unread = load.begin(turn.size)
        load.explain(turn.size, now)
        if len(self._fleet.serving(turn.wish.model)) > 1:
            self._homes.learn(turn.marks, engine.snapshot.name)
        told = (turn.wish, turn.size, load, turn.arrived, now, unread, self._clock, turn.expected_s)
        return Lease(engine, *told)

    def forget(self, engine: str) -> None:
        """It starts anew: its cache is empty, and what it did before says nothing."""
        self._homes.forget(engine)
        if load := self.loads.get(engine):
            load.forget()
        self.breakers.pop(engine, None)

    def end(self, lease: Lease) -> None:
        now = self._clock()
        self.drain.pass_to(now, self.in_flight)
        if (
            lease.tokens
        ):  # else it was refused or broke, which says nothing of how fast work is done
            self.drain.ended(lease.size.cost)
        self.shares.add(lease.wish.key_class, -lease.size.sequences, now)
        lease.load.end(lease.size, lease.reading)
        lease.spoke()

    def engines(self, model: str) -> int:
        """How many have this model, whatever they are doing."""
        return len(self._fleet.serving(model))

    def kv_tokens(self) -> dict[str, int]:
        """By engine, where it says."""
        told = {e.snapshot.name: self._capacity(e).kv for e in self._fleet.engines}
        return {name: kv for name, kv in told.items() if kv is not None}

    def _may(self, turn: Turn, waiting: Container[str]) -> bool:
        sequences, now = turn.size.sequences, self._clock()
        return self.shares.may(turn.key_class, sequences, self._seats(), now, waiting)

    def _seats(self) -> int:
        """Of the whole house, whatever the model: of that shares are promised."""
        engines = self._fleet.engines
        return self._limits.running * sum(e.ready or self._load(e).sequences > 0 for e in engines)

    def _ready(self, model: str) -> list[Engine]:
        """Less those whose answers were bad of late, while there are others."""
        ready = [engine for engine in self._fleet.serving(model) if engine.ready]
        if len(ready) < 2:
            return ready
        return [engine for engine in ready if self._admits(engine)] or ready

    def _admits(self, engine: Engine) -> bool:
        breaker = self.breakers.get(engine.snapshot.name)
        return not breaker or breaker.admits(self._clock(), self._load(engine).sequences)

    def worked(self, engine: Engine) -> None:
        """It answered, if only with a refusal."""
        if breaker := self.breakers.get(engine.snapshot.name):
            breaker.worked()

    def failed(self, engine: Engine) -> None:
        """It broke, or answered what nobody can read. Too often, and it has to prove itself."""
        if self.breakers.setdefault(engine.snapshot.name, Breaker()).failed(self._clock()):
            engine.doubt()

    def seen(self, name: str) -> Seen:
        """What its watch should know of an engine."""
        load = self.loads.get(name)
        if load is None or not load.sequences:
            return Seen()
        return Seen(load.sequences, 0.0, load.explained_until)

    def _load(self, engine: Engine) -> Load:
        name = engine.snapshot.name
        if (load := self.loads.get(name)) is None:
            load = self.loads[name] = Load()
        return load

    def _capacity(self, engine: Engine) -> Capacity:
        told = engine.snapshot.actual.get(KV_TOKENS) or engine.snapshot.planned.get(KV_TOKENS)
        return Capacity(self._limits.running, int(told) if told else None)

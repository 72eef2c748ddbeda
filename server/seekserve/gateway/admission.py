"""The queue in front of the engines: fair, bounded, with deadlines; and it refuses early.

`enter` is the only way in. Inside its `async with` a request holds its place at one engine; leaving by
any road (done, refused, cancelled while it waited) frees it in the same tick, and the next in line gets
it. Nobody else writes the lines or the places. Who is next says `fair`, what goes in where say `places`;
how large a request is, is learned in `sizes`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from seekserve.engine.engine import Snapshot, State
from seekserve.engine.fleet import Fleet
from seekserve.gateway import refusals
from seekserve.gateway.again import Again, tell
from seekserve.gateway.ask import Clock
from seekserve.gateway.crowds import patience, refuse_crowds
from seekserve.gateway.fair import Line
from seekserve.gateway.lease import Broke, Lease, Tick, Turn
from seekserve.gateway.pace import Margin
from seekserve.gateway.places import Places
from seekserve.gateway.sizes import Size, Sizes, Wish
from seekserve.settings import Limits, Tenancy

LOOK_S = 0.5
LONG = 32_768  # bytes; a shorter prompt need not be held against its model's window
ALL = {"all": Tenancy(share=1, max_wait_s=1e6, ttft_target_s=1e6, queued=1_000_000)}


class Admission:
    def __init__(
        self,
        fleet: Fleet,
        limits: Limits,
        clock: Clock,
        classes: Mapping[str, Tenancy] = ALL,
        default: str = "all",
    ) -> None:
        """`default` is the class of those who name none of `classes`. `first` hears of first tokens."""
        self._fleet, self._limits, self._clock = fleet, limits, clock
        self.classes, self._default = classes, default
        self.lines: dict[str, Line[Turn]] = {}
        self.places = Places(fleet, limits, clock, classes)
        self._again = Again(fleet, self.places, clock, self._charge)
        self._numbers, self.sizes = itertools.count(), Sizes()
        self._looks: asyncio.TimerHandle | None = None
        self.first: Callable[[float], None] = lambda first_s: None
        self.margins = {name: Margin() for name in classes}
        fleet.listen(self._changed)

    def __repr__(self) -> str:
        return f"<Admission {self.places.taken} running, {self.queued} queued>"

    def adopt(self, limits: Limits, classes: Mapping[str, Tenancy], default: str) -> None:
        """For those who come from now on. Every class that there is must be among `classes`."""
        self._limits, self.classes, self._default = limits, classes, default
        self.margins = {name: self.margins.get(name) or Margin() for name in classes}
        self.places.adopt(limits, classes)
        for line in self.lines.values():
            line.adopt(classes)
        self._assign()

    @property
    def queued(self) -> int:
        return sum(map(len, self.lines.values()))

    @asynccontextmanager
    async def enter(
        self, wish: Wish, tick_s: float, tick: Tick | None = None, broke: Broke | None = None
    ) -> AsyncIterator[Lease]:
        """Waits in turn for a place, and awaits `tick` every `tick_s` seconds. One whose engine `broke` goes
        before all others, to another engine or to one that came back.

        Raises EngineNotReady when no engine could answer, and QueueFull when there is no room to wait or
        the wait would be, or has become, longer than the class bears.
        """
        if not broke:
            refusals.unless_ready(self._snapshots(wish.model))
        if wish.sequences > self._limits.running:
            raise refusals.too_wide(wish.sequences, self._limits.running)
        turn = self._turn(wish, broke)
        lease = await (self._wait_again if broke else self._wait)(turn, tick_s, tick)
        lease.eased, lease.told = self._assign, self.first
        patience_s = lease.load.patience_s(lease.unread)
        timer = asyncio.get_running_loop().call_later(patience_s, self._lapse, lease)
        try:
            yield lease
        finally:
            timer.cancel()
            self._end(lease)

    def _lapse(self, lease: Lease) -> None:
        lease.lapsed()
        self._assign()

    def _turn(self, wish: Wish, broke: Broke | None = None) -> Turn:
        if wish.key_class not in self.classes:
            wish = replace(wish, key_class=self._default)
        place: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        card = self._fleet.cards().get(wish.model) if wish.size > LONG else None
        size = self.sizes.of(wish, card.max_model_len if card else None)
        patience_s = patience(self.classes[wish.key_class], self._limits, self.places.reads_s(size))
        return Turn(next(self._numbers), wish, size, self._clock(), place, patience_s, broke=broke)

    async def _wait(self, turn: Turn, tick_s: float, tick: Tick | None) -> Lease:
        line = self._line(turn.wish.model)
        self._pass()
        self._refuse_early(line, turn)
        line.add(turn)
        self._assign()
        turn.waits = not turn.place.done()
        self._keep_looking()
        try:
            return await self._placed(turn, tick_s, tick)
        except BaseException:
            self._leave_line(line, turn)
            raise

    async def _wait_again(self, turn: Turn, tick_s: float, tick: Tick | None) -> Lease:
        """Raises what broke when no place comes while its class bears to wait."""
        assert turn.broke is not None
        turn.patience_s = min(self.classes[turn.key_class].max_wait_s, self._limits.wait_s)
        self._again.add(turn)
        self._assign()
        self._again.give_up()
        self._keep_looking()
        try:
            if await turn.placed(self._clock, tick_s, tick):
                return turn.place.result()
            raise turn.broke.error
        except BaseException:
            self._give_back(turn)
            raise
        finally:
            self._again.drop(turn)

    def _charge(self, turn: Turn) -> None:
        self._line(turn.wish.model).charge(turn.key_class, turn.key, turn.cost)

    def _keep_looking(self) -> None:
        """Some places come with time alone: what is kept for a class fades, a large request's turn comes."""
        if (self.queued or self._again) and self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looks = None
        self._again.give_up()
        self._assign()
        self._keep_looking()

    def _pass(self) -> None:
        """Before the lines change."""
        self.places.inflow.pass_to(self._clock(), self.queued > 0)

    def _leave_line(self, line: Line[Turn], turn: Turn) -> None:
        if not turn.place.done() or turn.place.cancelled():
            turn.gone = True
            self._pass()
            line.left(turn)
            self._assign()  # it may have been in front of one that fits
        else:
            self._give_back(turn)

    def _give_back(self, turn: Turn) -> None:
        """A place that came in the tick in which its request left."""
        if turn.place.done() and not turn.place.cancelled() and not turn.place.exception():
            self._end(turn.place.result())

    async def _placed(self, turn: Turn, tick_s: float, tick: Tick | None) -> Lease:
        lease = turn.place.result() if await turn.placed(self._clock, tick_s, tick) else None
        found_s = self._clock() - turn.arrived
        self.margins[turn.key_class].learn(turn.expected_s, turn.each_s, found_s)
        if lease is None:
            raise refusals.waited_out(turn.patience_s, self._outlook(turn)[0])
        return lease

    def _refuse_early(self, line: Line[Turn], turn: Turn) -> None:
        """Raises QueueFull for one that would wait in vain."""
        group = line.groups[turn.key_class]
        if not len(line) and self.places.engine_for(turn, ()):
            return
        turn.expected_s, turn.each_s = self._outlook(turn)
        refuse_crowds(turn, group, self.classes[turn.key_class], self.queued, self._limits)
        margin = self.margins[turn.key_class]
        margin.pass_to(turn.arrived)
        latest_s = margin.latest_s(turn.expected_s, turn.each_s)
        if latest_s > turn.patience_s:
            raise refusals.too_late(
                turn.key_class, turn.expected_s, latest_s, turn.patience_s, group.length
            )

    def _outlook(self, turn: Turn) -> tuple[float, float]:
        """Seconds until one that comes now would be sent, and from one place to the next."""
        ahead = self._line(turn.wish.model).ahead(turn.key_class, turn.key, turn.cost)
        return self.places.outlook(turn.wish.model, ahead)

    def _line(self, model: str) -> Line[Turn]:
        if (line := self.lines.get(model)) is None:
            line = self.lines[model] = Line(self.classes, lambda: self.places.in_flight)
        return line

    def _assign(self) -> None:
        """Matches free places with those who wait. Every change of either ends here.

        Between models, whoever waits longest at the front of its line goes first.
        """
        while self._again.place_one() or any(map(self._place_one, self._waiting_lines())):
            pass

    def _waiting_lines(self) -> list[Line[Turn]]:
        """Of the models that have a place free at all."""
        lines = self.lines.items()
        waiting = [line for model, line in lines if len(line) and self.places.free_at(model)]
        if len(waiting) < 2:
            return waiting
        return sorted(waiting, key=lambda line: min((t.number for t in line.heads()), default=0))

    def _place_one(self, line: Line[Turn]) -> bool:
        """Places the next who may; False when there is no place for any."""
        waiting, starved = line.waiting, None
        for turn in line.heads():
            if starved and not self.places.may_pass(turn, starved):
                continue
            if engine := self.places.engine_for(turn, waiting):
                self._pass()
                line.take(turn.key_class)
                if turn.waits:
                    self.places.inflow.sent(turn.cost)
                if not turn.place.done():
                    turn.place.set_result(self.places.begin(turn, engine))
                return True
            if not starved and self.places.starves(turn, waiting):
                starved = turn
        return False

    def _end(self, lease: Lease) -> None:
        wish, tokens = lease.wish, lease.tokens
        self.places.end(lease)
        self.sizes.learn(wish, tokens, lease.estimated)
        found = Size(tokens.get("prompt", 0), tokens.get("completion", 0)).cost
        self._line(wish.model).charge(wish.key_class, wish.key, found - lease.size.cost)
        self._assign()

    def _changed(self, engine: Snapshot) -> None:
        if engine.state is State.STARTING:
            self.places.forget(engine.name)
        self._assign()
        for model, line in self.lines.items():
            snapshots = self._snapshots(model)
            failed = all(s.state is State.FAILED for s in snapshots)
            while failed and (turn := next(line.heads(), None)):
                tell(line.take(turn.key_class), refusals.not_ready(snapshots))

    def _snapshots(self, model: str) -> list[Snapshot]:
        return [engine.snapshot for engine in self._fleet.serving(model)]

"""Those whose engine failed them before it had said anything that they passed on: they go before all others.

They have waited and had their place once; what they wait for is another engine, or theirs come back.
Admission asks; the list is written here alone.
"""

from __future__ import annotations

from collections.abc import Callable

from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.errors import EngineLost, Refusal
from seekserve.gateway.ask import Clock
from seekserve.gateway.lease import Turn
from seekserve.gateway.places import Places

NOTICED_S = 5.0  # by then the death of a process is known


class Again:
    def __init__(
        self, fleet: Fleet, places: Places, clock: Clock, placed: Callable[[Turn], None]
    ) -> None:
        """`placed` hears of each that gets a place, in the tick in which it does."""
        self._fleet, self._places, self._clock, self._placed = fleet, places, clock, placed
        self._turns: list[Turn] = []

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: Turn) -> None:
        self._turns.append(turn)

    def drop(self, turn: Turn) -> None:
        """Whether or not it is still here."""
        if turn in self._turns:
            self._turns.remove(turn)

    def place_one(self) -> bool:
        """Places the first that fits somewhere; False when none does."""
        for turn in self._turns:
            if engine := self._places.engine_again(turn):
                self._turns.remove(turn)
                if not turn.place.done():
                    turn.place.set_result(self._places.begin(turn, engine))
                    self._placed(turn)
                return True
        return False

    def give_up(self) -> None:
        """On those for whom no engine is ready, and none may yet be."""
        for turn in tuple(self._turns):
            assert turn.broke is not None
            serving = self._fleet.serving(turn.wish.model)
            if not any(self._may_serve(turn, engine) for engine in serving):
                self._turns.remove(turn)
                tell(turn, turn.broke.error)

    def _may_serve(self, turn: Turn, engine: Engine) -> bool:
        """One whose connection ended may have died, which is known a moment later: then it may come back."""
        if (broke := turn.broke) and turn.shuns(engine):
            lost = isinstance(broke.error, EngineLost)
            return lost and self._clock() - broke.at <= NOTICED_S
        return engine.snapshot.state is not State.FAILED


def tell(turn: Turn, refusal: Refusal) -> None:
    if not turn.place.done():
        turn.place.set_exception(refusal)

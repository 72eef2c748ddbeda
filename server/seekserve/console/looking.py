"""What each series is now: read from the queue, the engines' last looks and what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from seekserve.console.rates import OLD_S, Rates, total
from seekserve.console.tally import Tally
from seekserve.engine.fleet import Fleet
from seekserve.gateway.admission import Admission

Values = dict[str, float | None]


class Looking:
    """Once a second. It changes nothing but the tally's turn."""

    def __init__(
        self,
        fleet: Fleet,
        admission: Admission,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet, self._admission, self._tally, self._clock = fleet, admission, tally, clock
        self._rates, self._last = Rates(), clock()

    def __call__(self) -> Values:
        now = self._clock()
        counted = self._tally.turn(max(0.001, now - self._last))
        self._last = now
        places, classes = self._admission.places, self._admission.classes
        told = dict(self._of_classes())
        told |= {f"refused:{name}": 0.0 for name in classes}
        told |= {name: value for name, value in counted.items() if name in told or ":" not in name}
        told |= {"running": float(places.taken), "waiting": float(self._admission.queued)}
        return told | self._of_engines(now)

    def _of_classes(self) -> Iterator[tuple[str, float | None]]:
        lines = self._admission.lines.values()
        held = self._admission.places.shares.held
        running = sum(held.values())
        for name in self._admission.classes:
            yield f"waiting:{name}", float(sum(line.groups[name].length for line in lines))
            yield f"share:{name}", held.get(name, 0) / running if running else 0.0

    def _of_engines(self, now: float) -> Values:
        """In their own words; of how much runs there, else in ours."""
        figures = {engine.snapshot.name: engine.figures for engine in self._fleet.engines}
        rates = self._rates.take(figures, now)
        told: Values = {
            "tokens_out": total([rate.made for rate in rates.values()]),
            "tokens_in": total([rate.read for rate in rates.values()]),
        }
        loads = self._admission.places.loads
        for name, one in figures.items():
            fresh = now - one.at <= OLD_S
            ours = float(loads[name].sequences) if name in loads else None
            told[f"kv:{name}"] = one.kv if fresh else None
            told[f"running:{name}"] = one.running if fresh and one.running is not None else ours
        return told

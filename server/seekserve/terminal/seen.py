"""What is known of one server: its state, its series and its last events, as they come in. Pure.

What it says is foreign: whatever has not the shape it should have is passed over.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, TypeGuard

from seekserve.terminal.events import Event
from seekserve.terminal.figures import Number, number

KEPT = 900
EVENTS = 30
MOST_SERIES = 400

Told = dict[str, Any]


class Seen:
    """`name` is what its person calls it. `trouble` says why nothing comes, and `again_at` (of the
    program's clock) when it is tried again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Told = {}
        self.engines: list[Told] = []
        self.series: dict[str, deque[Number]] = {}
        self.events: deque[Told] = deque(maxlen=EVENTS)
        self.trouble = self.todo = ""
        self.again_at = 0.0

    def now(self, name: str) -> Number:
        """The last value of a series."""
        series = self.series.get(name)
        return series[-1] if series else None

    def past(self, name: str) -> list[Number]:
        return list(self.series.get(name, ()))

    @property
    def classes(self) -> list[str]:
        told = self.state.get("classes")
        names = [one.get("name") for one in told if isinstance(one, dict)] if _listed(told) else []
        return [name for name in names if isinstance(name, str)]

    def heard(self, event: Event) -> None:
        """An event of the live stream."""
        told = _parsed(event.data)
        if event.name == "state":
            self.stated(told)
        elif event.name == "tick":
            values = told.get("values")
            self._ticked(values if isinstance(values, dict) else {})
            self._engines(told)
        elif event.name == "event" and told:
            self._happened(told)

    def stated(self, told: Any) -> None:
        if isinstance(told, dict):
            self.state = told
            self._engines(told)
            self.trouble = self.todo = ""

    def remembered(self, told: Any) -> None:
        """The page of the past."""
        series = told.get("series") if isinstance(told, dict) else None
        if not isinstance(series, dict):
            return
        self.series = {
            name: deque(map(number, values), KEPT)
            for name, values in list(series.items())[:MOST_SERIES]
            if _listed(values)
        }

    def recalled(self, told: Any) -> None:
        """The page of events, newest first."""
        events = told.get("events") if isinstance(told, dict) else None
        if _listed(events):
            self.events.clear()
            for one in reversed(events[:EVENTS]):
                self._happened(one)

    def lost(self, why: str, todo: str, again_at: float) -> None:
        self.trouble, self.todo, self.again_at = why, todo, again_at

    def _ticked(self, values: Told) -> None:
        """A series that is new has no past; one that is gone is unknown from now on."""
        for name in list(values)[:MOST_SERIES]:
            if name not in self.series and len(self.series) < MOST_SERIES:
                self.series[name] = deque(maxlen=KEPT)
        for name, series in self.series.items():
            series.append(number(values.get(name)))

    def _engines(self, told: Told) -> None:
        engines = told.get("engines")
        if _listed(engines):
            self.engines = [one for one in engines if isinstance(one, dict)]

    def _happened(self, told: Any) -> None:
        """One that happens again within a few seconds is told anew, with its number."""
        if not isinstance(told, dict):
            return
        for place, before in enumerate(self.events):
            if before.get("number") == told.get("number"):
                self.events[place] = told
                return
        self.events.append(told)


def _parsed(data: str) -> Told:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _listed(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)

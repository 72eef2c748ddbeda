"""The last fifteen minutes of every series, a number a second, in memory that is bounded.

A series is a ring of 900 floats (3.6 kB). One that was told nothing for as long is forgotten, and beyond
MOST series new ones are not begun: with 64 engines and a dozen classes all of it is under a megabyte.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping

SPAN = 900
MOST = 512
_NOTHING = math.nan


class Ring:
    """So many numbers, the oldest of them forgotten first."""

    __slots__ = ("_at", "_numbers", "last")

    def __init__(self, span: int) -> None:
        self._numbers, self._at = array("f", [_NOTHING]) * span, 0
        self.last = 0
        """The step at which it was last told a number."""

    def put(self, number: float | None) -> None:
        self._numbers[self._at] = _NOTHING if number is None else number
        self._at = (self._at + 1) % len(self._numbers)

    def told(self, count: int) -> str:
        """The last so many, oldest first, as JSON with as many digits as a plot can show."""
        whole = self._numbers[self._at :] + self._numbers[: self._at]
        last = whole[len(whole) - count :]
        return ",".join(["null" if number != number else f"{number:.5g}" for number in last])


class History:
    """Time comes in, in epoch seconds. Seconds that nobody told of are gaps."""

    def __init__(self, span: int = SPAN, most: int = MOST) -> None:
        self._span, self._most = span, most
        self._rings: dict[str, Ring] = {}
        self._steps, self.until = 0, 0.0
        self._page: bytes | None = None

    def __len__(self) -> int:
        return len(self._rings)

    def take(self, at: float, values: Mapping[str, float | None]) -> None:
        """A clock that was set back, or far ahead, is believed from then on."""
        missed = round(at - self.until) - 1 if self.until else 0
        for _ in range(min(missed, self._span)):
            self._put({})
        self._put(values)
        self.until, self._page = at, None

    def page(self) -> bytes:
        """All of it as JSON, made once a step however many ask."""
        if self._page is None:
            count = min(self._steps, self._span)
            rings = self._rings.items()
            series = ",".join(f"{json.dumps(name)}:[{ring.told(count)}]" for name, ring in rings)
            self._page = f'{{"step_s":1,"until":{self.until},"series":{{{series}}}}}'.encode()
        return self._page

    def _put(self, values: Mapping[str, float | None]) -> None:
        self._steps += 1
        for name, value in values.items():
            if value is not None and name not in self._rings and len(self._rings) < self._most:
                self._rings[name] = Ring(self._span)
        for name, ring in tuple(self._rings.items()):
            number = values.get(name)
            ring.put(number)
            if number is not None:
                ring.last = self._steps
            elif self._steps - ring.last >= self._span:
                del self._rings[name]

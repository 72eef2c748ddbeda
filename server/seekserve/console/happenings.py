"""What happened lately, for people: a ring of events, fed by the log and by requests that are over.

Another thread may log, so what comes is put by and read on the event loop. The same again within a few
seconds is one event that counts. Nothing here was said by a client: no prompt, no key, no name it made up.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from seekserve.console import saying
from seekserve.console.saying import Said
from seekserve.gateway.record import CLIENT_GONE, Trace
from seekserve.log import Fact

MOST, PAGE, BURSTS = 1000, 100, 256
UNREAD = 4096
BURST_S = 5.0


@dataclass(slots=True)
class Event:
    """`times` grows while the same happens again and again."""

    number: int
    at: float
    kind: str
    level: str
    words: str
    request: str | None
    engine: str | None
    key: str | None
    times: int = 1


class Happenings:
    """`clock` is epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._come: deque[tuple[float, Said]] = deque(maxlen=UNREAD)
        self._ring: deque[Event] = deque(maxlen=MOST)
        self._bursts: OrderedDict[Said, tuple[float, Event]] = OrderedDict()
        self._fresh: dict[int, Event] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._ring)

    def heard(self, name: str, facts: dict[str, Fact]) -> None:
        """The log was told something."""
        if said := saying.of_log(name, facts):
            self.add(said)

    def over(self, trace: Trace) -> None:
        """A request is over: told where it was refused, broke, or lost its engine."""
        if not (trace.reason or trace.again or trace.continued):
            return
        if (trace.status or CLIENT_GONE) != CLIENT_GONE and trace.route not in ("console", "ops"):
            self._read()
            for said in saying.of_request(trace):
                self._file(self._clock(), said)

    def add(self, said: Said) -> None:
        self._come.append((self._clock(), said))

    def told(self, before: int | None = None) -> dict[str, Any]:
        """Newest first, at most PAGE of them; those before a number."""
        self._read()
        older = [one for one in reversed(self._ring) if before is None or one.number < before]
        return {"events": [asdict(one) for one in older[:PAGE]], "more": len(older) > PAGE}

    def news(self) -> list[dict[str, Any]]:
        """What is new, or counts more, since this was last asked."""
        self._read()
        fresh, self._fresh = self._fresh, {}
        return [asdict(one) for one in list(fresh.values())[-PAGE:]]

    def _read(self) -> None:
        while self._come:
            self._file(*self._come.popleft())

    def _file(self, at: float, said: Said) -> None:
        alike = said._replace(request=None)
        since, event = self._bursts.pop(alike, (0.0, None))
        if event and 0 <= at - since <= BURST_S:
            event.times += 1
        else:
            self._number += 1
            event = Event(self._number, round(at, 3), *said)
            self._ring.append(event)
        self._bursts[alike] = (at, event)
        if len(self._bursts) > BURSTS:
            self._bursts.popitem(last=False)
        self._fresh[event.number] = event
        if len(self._fresh) > MOST:
            del self._fresh[next(iter(self._fresh))]

"""Whether an engine's answers are good enough to send it more. Pure: outcomes in, yes or no out.

An engine that fails is left out for a while, then tried with one request at a time. What it refuses (a
full queue, a bad request) is no failure of its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

IN_A_ROW = 3
OF_LATE = 20  # answers, half of which may fail
FIRST_S = 1.0
LONGEST_S = 15.0


@dataclass(slots=True)
class Breaker:
    """Closed while `open_until` is None. Past that moment it is half open."""

    open_until: float | None = None
    wait_s: float = FIRST_S
    late: deque[bool] = field(default_factory=lambda: deque(maxlen=OF_LATE))

    def worked(self) -> None:
        self.late.append(True)
        if self.open_until is not None:
            self.open_until, self.wait_s = None, FIRST_S
            self.late.clear()

    def failed(self, now: float) -> bool:
        """Whether this one makes it open, or keeps it so: then the engine is to prove itself."""
        self.late.append(False)
        if self.open_until is not None:
            self.open_until, self.wait_s = now + self.wait_s, min(LONGEST_S, 2 * self.wait_s)
            return True
        if not self._too_many():
            return False
        self.open_until = now + self.wait_s
        return True

    def admits(self, now: float, running: int) -> bool:
        """Whether it may have one more, beside `running`."""
        if self.open_until is None:
            return True
        return now >= self.open_until and not running

    def _too_many(self) -> bool:
        row = list(self.late)[-IN_A_ROW:]
        if len(row) == IN_A_ROW and not any(row):
            return True
        return len(self.late) == OF_LATE and self.late.count(False) * 2 >= OF_LATE

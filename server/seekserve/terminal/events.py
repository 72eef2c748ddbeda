"""Server-sent events out of bytes, however they were cut. Pure.

Lines end where the standard says and nowhere else: a model's text may hold what Python calls a line's end.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 8 << 20


class Event(NamedTuple):
    name: str
    data: str


class TooLong(ValueError):
    """No event is so long: it is something else that comes."""


class Split:
    """Takes bytes, gives the events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._name, self._data = "", list[str]()
        self._held = 0

    def feed(self, data: bytes) -> list[Event]:
        """Raises TooLong."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [event for line in lines if (event := self._line(line.removesuffix(b"\r")))]
        if len(self._rest) + self._held > MOST_BYTES:
            raise TooLong
        return found

    def _line(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._name, "\n".join(self._data)) if self._data else None
            self._name, self._data, self._held = "", [], 0
            return event
        field, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._held += len(line)
        elif field == "event":
            self._name = value
        return None

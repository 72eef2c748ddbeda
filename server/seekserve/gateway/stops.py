"""Stop strings over a text that comes in parts. Pure."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Holds back what may be the beginning of a stop string. `met` is the one that was found."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._most = max((len(word) for word in words), default=1) - 1
        self._before = self._held = ""
        self.met = ""

    def add(self, told: str) -> None:
        """What was passed on before, whose end may be the beginning of one."""
        self._before = (self._before + told)[-self._most :] if self._most else ""

    def feed(self, text: str, last: bool = False) -> str:
        """What can be passed on. `last` lets go of what is held."""
        if self.met:
            return ""
        start = len(self._before)
        whole = self._before + self._held + text
        at, met = min(((i, w) for w in self._words if (i := whole.find(w)) >= 0), default=(-1, ""))
        if met:
            self.met, self._held = met, ""
            return whole[start : max(start, at)]
        keep = len(whole) if last else max(start, len(whole) - self._most)
        out, self._held = whole[start:keep], whole[keep:]
        self.add(out)
        return out

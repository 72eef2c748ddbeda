"""Stop strings over a text that comes in parts. Pure."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Holds back what may be the beginning of a stop string. `met` is the one that was found.

    As vLLM has it: of several the one that ends first, and with `include` it is passed on with the rest,
    so that nothing is to be held back.
    """

    def __init__(self, words: Sequence[str], include: bool = False) -> None:
        self._words, self._include = words, include
        self._most = max((len(word) for word in words), default=1) - 1
        self._before = self._held = ""
        self.met = ""

    def add(self, told: str) -> None:
        """What was passed on before, whose end may be the beginning of one."""
        self._before = (self._before + told)[-self._most :] if self._most else ""

    def feed(self, text: str, last: bool = False, heed: bool = True) -> str:
        """What can be passed on. `last` lets go of what is held. A stop string counts where it ends in a
        `text` that is to be heeded: an answer that is too short yet may hold some.
        """
        if self.met:
            return ""
        start = len(self._before)
        whole = self._before + self._held + text
        end = self._end(whole, len(whole) - len(text)) if heed else -1
        if self.met:
            self._held = ""
            return whole[start : max(start, end if self._include else end - len(self.met))]
        keep = len(whole) if last or self._include else max(start, len(whole) - self._most)
        out, self._held = whole[start:keep], whole[keep:]
        self.add(out)
        return out

    def _end(self, whole: str, known: int) -> int:
        """Where the first one ends beyond what is `known`, which is then `met`."""
        ends = [
            (at + len(word), word)
            for word in self._words
            if (at := whole.find(word, max(0, known - len(word) + 1))) >= 0
        ]
        end, self.met = min(ends, key=lambda found: found[0], default=(-1, ""))
        return end

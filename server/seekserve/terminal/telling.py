"""How an answer appears. On a terminal its thinking runs dim in a few lines and folds into one when it
ends; elsewhere there is the answer alone. What stands on the screen is never written over but for those
lines, whose rows are counted anew at each drawing: the window may have changed.
"""

from __future__ import annotations

import os
import time
from typing import TextIO

from rich.cells import cell_len, chop_cells

from seekserve.terminal.answer import Piece, seconds
from seekserve.terminal.inert import inert

DIM, PLAIN, RED = "\x1b[2m", "\x1b[0m", "\x1b[31m"
PREVIEW_ROWS = 6
SILENT_S = 0.4  # a wait shorter than this is not worth a line


class Plainly:
    """The answer's text; what is said about it only where `notes` are wanted: not in a pipe."""

    live = False

    def __init__(self, out: TextIO, notes: bool = False) -> None:
        self._out, self._notes = out, notes
        self._fresh = True

    def begin(self, what: str = "") -> None:
        """Something is waited for: an answer, or what is named."""

    def tick(self) -> None:
        """Some time has passed."""

    def piece(self, piece: Piece) -> None:
        if piece.kind == "said":
            self._write(inert(piece.text))

    def call(self, text: str) -> None:
        self.line()
        self._write(f"calls {inert(text)}\n")

    def note(self, words: str) -> None:
        """About the answer, on lines of its own."""
        if self._notes and words:
            self.line()
            self._write(f"{inert(words)}\n")

    def failed(self, message: str) -> None:
        self.note(message)

    def end(self) -> None:
        self.line()

    def line(self) -> None:
        """Goes on at the beginning of one."""
        if not self._fresh:
            self._write("\n")

    def typed(self) -> None:
        """Somebody typed something that ended no line: what follows begins one."""
        self._fresh = False
        self.line()

    def _write(self, text: str) -> None:
        if text:
            self._fresh = text.endswith("\n")
            self._out.write(text)
            self._out.flush()


class Folding(Plainly):
    """On a terminal."""

    live = True

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._drawn: list[str] = []
        self._thoughts = ""
        self._begun = self._since = 0.0
        self._what = ""
        self._waiting = self._thinking = False

    def begin(self, what: str = "") -> None:
        self._begun, self._waiting = time.monotonic(), True
        self._what = f"{what}, " if what else ""

    def tick(self) -> None:
        if self._thinking:
            now = time.monotonic() - self._since
            self._draw([*self._preview(), f"thinking {seconds(now)}"])
        elif self._waiting and (now := time.monotonic() - self._begun) > SILENT_S:
            self._draw([f"waiting {self._what}{now:.1f} s"])

    def piece(self, piece: Piece) -> None:
        self._waiting = False
        if piece.kind == "said":
            self._fold()
            super().piece(piece)
            return
        if not self._thinking:
            self.line()
            self._thinking, self._since, self._thoughts = True, time.monotonic(), ""
        self._thoughts += piece.text

    def call(self, text: str) -> None:
        self._fold()
        super().call(text)

    def note(self, words: str) -> None:
        self._styled(DIM, words)

    def failed(self, message: str) -> None:
        self._styled(RED, message)

    def _styled(self, style: str, words: str) -> None:
        if words:
            self.line()
            self._write(f"{style}{inert(words)}{PLAIN}\n")

    def end(self) -> None:
        self._fold()
        super().end()

    def _fold(self) -> None:
        """The thinking becomes one line."""
        self._waiting = False
        self._draw([])
        if self._thinking:
            self._thinking = False
            self.note(f"thought for {seconds(time.monotonic() - self._since)}")

    def _preview(self) -> list[str]:
        """The last rows of the thinking."""
        columns, rows = self._size()
        most = max(1, min(PREVIEW_ROWS, rows - 4))
        tail = inert(self._thoughts[-columns * most :]).expandtabs(4).strip("\n")
        lines = [row for line in tail.split("\n") for row in chop_cells(line, columns - 1) or [""]]
        return lines[-most:]

    def _draw(self, lines: list[str]) -> None:
        """These instead of what was drawn before; the cursor stays behind them."""
        columns = self._size()[0]
        up = sum(max(1, -(-cell_len(line) // columns)) for line in self._drawn) - 1
        back = f"\r\x1b[{up}A\x1b[J" if up > 0 else "\r\x1b[J" if self._drawn else ""
        self._drawn = lines
        text = "\r\n".join(line[: columns - 1] for line in lines)
        self._out.write(back + (f"{DIM}{text}{PLAIN}" if text else ""))
        self._out.flush()

    def _size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        return max(8, columns), max(6, rows)


def screen(out: TextIO) -> Plainly:
    """The one that suits where the text goes."""
    if not out.isatty():
        return Plainly(out)
    return Plainly(out, notes=True) if os.environ.get("TERM", "dumb") == "dumb" else Folding(out)

"""Reading questions: of several lines where they are meant to, with the history of earlier ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

try:
    import readline
except ImportError:  # input() edits without it, though not well
    readline = None  # type: ignore[assignment]

PROMPT, MORE, QUOTES = "> ", ". ", '"""'
KEPT = 1000


def question(read: Callable[[str], str]) -> str:
    r"""A line; with what follows while lines end in \, or all up to the closing triple quotes.

    Raises EOFError and KeyboardInterrupt as `read` does.
    """
    line = read(PROMPT)
    if line.lstrip().startswith(QUOTES):
        return _quoted(line.lstrip().removeprefix(QUOTES), read)
    lines = []
    while line.endswith("\\"):
        lines.append(line[:-1])
        line = read(MORE)
    return "\n".join([*lines, line])


def _quoted(line: str, read: Callable[[str], str]) -> str:
    lines = []
    while not line.rstrip().endswith(QUOTES):
        lines.append(line)
        line = read(MORE)
    return "\n".join([*lines, line.rstrip().removesuffix(QUOTES)]).strip("\n")


class History:
    """Questions of this user, oldest first, a line of JSON each: prompts, so for the user alone to read.

    Without a path they are kept in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def open(self) -> None:
        """Arrow keys find them, and a paste of several lines is one question."""
        if readline is None:
            return
        readline.set_auto_history(False)
        readline.set_history_length(KEPT)
        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")
        for text in self._read():
            readline.add_history(text)

    def add(self, text: str) -> None:
        if not text.strip():
            return
        if readline is not None:
            readline.add_history(text)
        if self._path:
            with suppress(OSError), open(self._path, "a", opener=_mine) as file:
                file.write(json.dumps(text) + "\n")

    def _read(self) -> list[str]:
        """The newest; a file that has grown long is cut. One that cannot be read is as good as none."""
        if self._path is None:
            return []
        try:
            with open(self._path, encoding="ascii", opener=_only_read) as file:
                lines = file.readlines()
        except (OSError, ValueError):
            return []
        if len(lines) > 2 * KEPT:
            self._cut(lines[-KEPT:])
        return [text for line in lines[-KEPT:] if (text := _text(line))]

    def _cut(self, lines: list[str]) -> None:
        assert self._path is not None
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            with open(draft, "w", opener=_mine) as file:
                file.writelines(lines)
            draft.replace(self._path)


def _text(line: str) -> str:
    try:
        told = json.loads(line)
    except ValueError:
        return ""
    return told.replace("\0", "").encode(errors="replace").decode() if isinstance(told, str) else ""


def _mine(path: str, flags: int) -> int:
    """0600 from the first moment, and also where somebody widened it."""
    opened = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(opened, 0o600)
    return opened


def _only_read(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)

"""The keyboard while a program draws: not echoed, perhaps read key by key, and as it was afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

try:
    import termios
except ImportError:  # no terminal of that kind
    termios = None  # type: ignore[assignment]

LOCAL, CONTROL = 3, 6


@contextmanager
def unechoed(keys: IO[Any] | None = None, by_key: bool = False) -> Iterator[None]:
    """What is typed does not show; Ctrl-C goes on to interrupt. `by_key` does not wait for a line's end,
    and does not let Ctrl-Z leave a screen half drawn.
    """
    keys = keys or sys.stdin
    if termios is None or not keys.isatty():
        yield
        return
    before = termios.tcgetattr(keys)
    during = termios.tcgetattr(keys)
    during[LOCAL] &= ~termios.ECHO
    if by_key:
        during[LOCAL] &= ~termios.ICANON
        during[CONTROL][termios.VSUSP] = b"\0"
    try:
        termios.tcsetattr(keys, termios.TCSADRAIN, during)
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)

"""One line per event, text or JSON. Never a prompt, never a key: callers pass plain facts only."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Literal

Fact = str | int | float | bool | None


def to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")  # looked up each time: a live display may have wrapped it


Listener = Callable[[str, dict[str, Fact]], None]
"""Hears an event's name and facts, in whatever thread it happens: it must be quick and raise nothing."""


class Log:
    """Writes each event as one line to the sink it was given."""

    def __init__(
        self, form: Literal["text", "json"] = "text", sink: Callable[[str], None] = to_stderr
    ) -> None:
        self._render = _json if form == "json" else _text
        self._sink = sink
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def event(self, name: str, /, **facts: Fact) -> None:
        for listener in self._listeners:
            listener(name, facts)
        with contextlib.suppress(
            OSError, ValueError
        ):  # nobody reads it any more: no reason to stop
            self._sink(self._render(name, {k: v for k, v in facts.items() if v is not None}))


def _text(name: str, facts: dict[str, Fact]) -> str:
    clock = time.strftime("%H:%M:%S")
    return " ".join([clock, name, *(f"{key}={_plain(value)}" for key, value in facts.items())])


def _json(name: str, facts: dict[str, Fact]) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"time": stamp, "event": name} | facts, ensure_ascii=False)


def _plain(value: Fact) -> str:
    """A value on a text line: numbers short, words quoted only where they would break the line."""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text.isprintable() or " " in text else text

"""What the gateway needs to know of a request, whatever dialect it came in. A value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Accent(Protocol):
    """How one API turns the engine's answers into its own. All pure."""

    path: str
    """The engine's route, such as /v1/chat/completions."""

    def events(self, data: bytes) -> bytes:
        """Whole SSE events of the engine, in the client's words."""

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """One parsed event: the few that carry usage."""

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole answer, fields the client's API does not know left out."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, checked and translated. `body` is the JSON for the engine."""

    model: str
    body: bytes
    stream: bool
    show_usage: bool
    accent: Accent


Clock = Callable[[], float]

"""Every target by name: a function of bytes that raises where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz import bodies, streams, wires

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {
    "sse": streams.any_bytes,
    "voices": streams.events,
    "upstream": wires.answer,
    "heads": wires.heads,
    "bodies": bodies.request,
    "answers": bodies.said,
}
CORPUS = Path(__file__).with_name("corpus")


def seeds(name: str) -> Iterator[Path]:
    """What was found before, and the few good ones to begin with."""
    folder = CORPUS / name
    yield from sorted(folder.iterdir()) if folder.is_dir() else ()

"""What an engine is doing, in words for people. Pure."""

from __future__ import annotations

from seekserve.engine.engine import NODES, Snapshot

WORDS = {
    "launch": "launching the engine (Python and torch come up)",
    "connect": "waiting for the engine to answer",
    "configure": "reading the model's configuration",
    "download": "downloading the model",
    "load": "loading weights",
    "compile": "compiling",
    "warm-up": "warming up",
    "serve": "opening the socket",
    "end": "ending what is left of the last life",
    "wait": "waiting before the next start",
}


def in_words(snapshot: Snapshot) -> str:
    """The stage of a start."""
    if snapshot.stage == NODES:
        here = f"{snapshot.joined} of {snapshot.nodes} nodes have joined"
        return here if snapshot.joined == snapshot.nodes else f"{here}, waiting at {snapshot.where}"
    return WORDS.get(snapshot.stage, snapshot.stage)

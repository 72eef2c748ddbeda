"""Whether an engine makes tokens, seen from outside and once: what `seekserve prove` says.

Who watches an engine for longer knows more (see `vigil`). This has one look: a token for itself, or the
engine's own counters moving meanwhile. An engine that is busy with others' requests is not dead.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from seekserve.engine.address import Address
from seekserve.engine.figures import figures
from seekserve.engine.probe import Probe
from seekserve.engine.vigil import Look, look_of

WITHIN_S = 15.0
LOOK_S = 3.0  # of which the second look has so much


class Found(NamedTuple):
    works: bool
    words: str


async def proved(url: str, key: str | None = None, within_s: float = WITHIN_S) -> Found:
    """Raises ConfigError where the URL is none."""
    async with Probe(Address.parse(url), key, LOOK_S / 2) as probe:
        began = asyncio.get_running_loop().time()
        models = await probe.models()
        if not models:
            return Found(False, probe.trouble)
        before = await _look(probe)
        spent = asyncio.get_running_loop().time() - began
        trouble = await probe.prove(models[0].id, max(1.0, within_s - LOOK_S - spent))
        if not trouble:
            return Found(True, "it makes tokens")
        after = await _look(probe)
    if after.counters and after.counters != before.counters:
        return Found(True, f"it makes tokens for others; {trouble}")
    return Found(False, trouble)


async def _look(probe: Probe) -> Look:
    return look_of(True, figures(await probe.metrics(), 0.0))

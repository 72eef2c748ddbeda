"""What the Console says of the server and of each engine, as plain data. Reads only; unknown is None."""

from __future__ import annotations

import time
from typing import Any

from seekserve import __version__
from seekserve.api.named import Names
from seekserve.binding import url_of
from seekserve.config import Config
from seekserve.console.usher import Guest
from seekserve.engine.engine import Engine, State
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched
from seekserve.engine.stages import in_words
from seekserve.gateway.keys import Door

MOST_WORDS = 600


def engine(one: Engine) -> dict[str, Any]:
    """Without its address, which a page that is looked at elsewhere has no use for."""
    snapshot = one.snapshot
    starting = snapshot.state is State.STARTING
    known: dict[str, Any] = {
        "name": snapshot.name,
        "state": snapshot.state.value,
        "stage": snapshot.stage if starting else "",
        "stage_words": in_words(snapshot) if starting else "",
        "progress": snapshot.share if starting else None,
        "since": _epoch(snapshot.since),
        "ours": isinstance(one, Launched),
        "restarts": snapshot.restarts,
        "ends": dict(snapshot.ends),
        "models": [card.id for card in snapshot.models],
        "cause": snapshot.cause[:MOST_WORDS],
        "remedy": snapshot.todo[:MOST_WORDS],
        "stage_s": {stage: round(spent, 3) for stage, spent in snapshot.stage_s.items()},
        "planned": dict(snapshot.planned),
        "actual": dict(snapshot.actual),
    }
    if snapshot.nodes > 1:
        known["nodes"] = {"wanted": snapshot.nodes, "joined": snapshot.joined}
    return known


def _epoch(monotonic: float) -> float | None:
    return round(time.time() - time.monotonic() + monotonic, 1) if monotonic else None


def state(
    config: Config, fleet: Fleet, door: Door, guest: Guest, started_at: float
) -> dict[str, Any]:
    return shared(config, fleet, door, started_at) | {
        "now": time.time(),
        "side": guest.side,
        "may_change": guest.may_change,
        "engines": [engine(one) for one in fleet.engines],
    }


def shared(config: Config, fleet: Fleet, door: Door, started_at: float) -> dict[str, Any]:
    """What is the same for every guest, and changes seldom."""
    tier = config.tier
    return {
        "version": __version__,
        "tier": tier.tier,
        "started_at": started_at,
        "door": door,
        "api": url_of(config.listen),
        "models": _models(config, fleet),
        "classes": [
            {"name": name, "promised": one.share, "ttft_target_s": one.ttft_target_s}
            for name, one in tier.classes.items()
        ],
        "default_class": tier.default_class,
        "currency": tier.prices.currency,
    }


def _models(config: Config, fleet: Fleet) -> list[dict[str, Any]]:
    aliases = Names(fleet, config.tier).aliases()
    return [
        {
            "id": card.id,
            "context": card.max_model_len,
            "aliases": sorted(name for name, model in aliases.items() if model == card.id),
            "thinking": card.manner.thinking != "never",
            "engines": [
                s.name for s in fleet.snapshots() if any(one.id == card.id for one in s.models)
            ],
        }
        for card in fleet.cards().values()
    ]

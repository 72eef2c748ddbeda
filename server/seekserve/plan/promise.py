"""What a start may be held to afterwards: the figures that an engine prints about itself. Pure."""

from __future__ import annotations

import json
from pathlib import Path

from seekserve.errors import StartError
from seekserve.plan.kv import cache
from seekserve.plan.layout import Layout
from seekserve.plan.memory import GIB
from seekserve.plan.shape import read_shape
from seekserve.plan.wish import Plan
from seekserve.settings import EngineSettings, PlatformSettings

KV_TOKENS, WEIGHTS_GIB = "kv_cache_tokens", "weights_gib"
CPU_SPACE = "VLLM_CPU_KVCACHE_SPACE"


def of_plan(plan: Plan) -> dict[str, float]:
    return {KV_TOKENS: float(plan.kv_tokens), WEIGHTS_GIB: plan.weights_bytes / GIB}


def of_tier(settings: EngineSettings, platform: str, model: str) -> dict[str, float]:
    """For a tier written by hand: the cache, where its size is said and the model lies on disk."""
    there = settings.platforms.get("cpu", PlatformSettings()) if platform == "cpu" else None
    space = (settings.env | (there.env if there else {})).get(CPU_SPACE)
    config = Path(model) / "config.json"
    if not (there and space and config.is_file()):
        return {}
    args = settings.args | there.args
    dtype = str(args.get("kv-cache-dtype", "auto"))
    dtype = str(args.get("dtype", "auto")) if dtype == "auto" else dtype
    try:
        held = cache(read_shape(json.loads(config.read_text())), dtype, Layout())
    except (StartError, ValueError):
        return {}
    if held.per_flight:  # what a token takes then depends on the length
        return {}
    return {KV_TOKENS: float(space) * GIB // held.per_token}

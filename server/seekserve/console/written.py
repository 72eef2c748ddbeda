"""A tier written by hand, as far as its plan can be told: nothing was chosen, so what it says is shown.

The command is one paste without what is ours alone (the private socket) or nobody's business (secrets).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seekserve.config import Config
from seekserve.engine.assembly import model_path
from seekserve.engine.hardware import platform_here
from seekserve.plan import command, promise
from seekserve.plan.memory import GIB
from seekserve.plan.report import paste
from seekserve.plan.wish import Cluster, NodeCommand
from seekserve.settings import EngineSettings, PlatformSettings

SECRET = frozenset(
    "key keys token secret secrets pass password passwd credential credentials auth".split()
)
"""A word of a flag's or a variable's name that says so. `tokens` are what models count."""
HIDDEN = "..."
NOTE = "This tier names its model and flags itself: nothing was planned, and what it says is shown."


def of_tier(config: Config, cluster: Cluster | None) -> dict[str, Any]:
    settings, platform = config.tier.engine, platform_here()
    path, flags = model_path(settings.model), command.flags_of(settings, platform)
    promised = promise.of_tier(settings, platform, path).get(promise.KV_TOKENS)
    context = flags.get("max-model-len")
    context = context if isinstance(context, int) else None
    return {
        "devices": [_device(cluster, settings, platform, path)] if cluster else [],
        "layout": _layout(flags),
        "context": context,
        "concurrency": round(promised / context, 2) if promised and context else None,
        "kv_cache_dtype": str(flags.get("kv-cache-dtype", "auto")),
        "weights": str(flags.get("quantization") or flags.get("dtype") or "auto"),
        "command": _command(settings, platform, path),
        "note": NOTE,
    }


def _layout(flags: dict[str, Any]) -> str:
    short = {"TP": "tensor", "PP": "pipeline", "DP": "data"}
    sizes = {word: flags.get(f"{name}-parallel-size") for word, name in short.items()}
    return " x ".join(f"{word} {size}" for word, size in sizes.items() if size)


def _device(
    cluster: Cluster, settings: EngineSettings, platform: command.Platform, path: str
) -> dict[str, Any]:
    """What is said of it, and its weights as they lie on the disk; the rest is None."""
    space = _environment(settings, platform).get(promise.CPU_SPACE) if platform == "cpu" else None
    files = sum(one.stat().st_size for one in Path(path).glob("*.safetensors"))
    return {
        "name": cluster.accelerator.name,
        "total_gib": round(cluster.memory_gib, 2),
        "weights_gib": round(files / GIB, 4) if files else None,
        "overhead_gib": None,
        "kv_cache_gib": float(space) if space and space.replace(".", "", 1).isdigit() else None,
        "free_gib": None,
    }


def _environment(settings: EngineSettings, platform: command.Platform) -> dict[str, str]:
    return settings.env | settings.platforms.get(platform, PlatformSettings()).env


def _command(settings: EngineSettings, platform: command.Platform, path: str) -> str:
    words = list(command.argv(settings, platform, path, Path("/"), python="python"))
    at = words.index("--uds")
    del words[at : at + 2]
    env = {
        name: HIDDEN if _private(name) else value
        for name, value in _environment(settings, platform).items()
    }
    return paste(NodeCommand(0, tuple(_told(words)), env))


def _told(words: list[str]) -> Iterator[str]:
    """The values of a flag that is nobody's business are left out."""
    private = False
    for word in words:
        if word.startswith("--"):
            private = _private(word)
            yield word.partition("=")[0] if private else word
        else:
            yield HIDDEN if private else word


def _private(name: str) -> bool:
    return not SECRET.isdisjoint(re.split(r"[^a-z0-9]+", name.lower().partition("=")[0]))

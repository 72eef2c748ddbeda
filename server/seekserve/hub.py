"""What Hugging Face's cache on this machine holds of a repository: which commit, and whether all of it.

Reads only. The layout is huggingface_hub's own: models--OWNER--NAME/{refs/main, snapshots/COMMIT/...},
where a file of a snapshot appears once it has come whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHARD = re.compile(r"(.+)-\d+-of-(\d+)\.(?:safetensors|bin)")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "tekken.json")


def cache_of(environ: Mapping[str, str]) -> Path:
    """The cache's folder, by the variables that huggingface_hub goes by."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(name):
            return Path(environ[name]).expanduser()
    caches = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or f"{caches}/huggingface"
    return Path(home).expanduser() / "hub"


def held(cache: Path, repo: str) -> str:
    """The commit that `main` was when it was last fetched; "" where it never was."""
    try:
        told = (_folder(cache, repo) / "refs" / "main").read_text().strip()
    except (OSError, ValueError):
        return ""
    return told if _COMMIT.fullmatch(told) else ""


def is_whole(cache: Path, repo: str, commit: str) -> bool:
    """Whether an engine can start from this snapshot alone: its config, a tokenizer, every shard."""
    snapshot = _folder(cache, repo) / "snapshots" / commit
    try:
        names = {path.name for path in snapshot.iterdir() if path.exists()}  # links may dangle
        return (
            "config.json" in names
            and any(name in names for name in _TOKENIZERS)
            and _has_shards(names)
            and all(_indexed(path) <= names for path in snapshot.glob("*.index.json"))
        )
    except (OSError, ValueError):
        return False


def _has_shards(names: set[str]) -> bool:
    shards = [found for name in names if (found := _SHARD.fullmatch(name))]
    sets = {(found[1], int(found[2])) for found in shards}
    whole = all(sum(s[1] == stem for s in shards) == count for stem, count in sets)
    return whole and any(name.endswith((".safetensors", ".bin")) for name in names)


def _indexed(path: Path) -> set[str]:
    told = json.loads(path.read_text())
    weights = told.get("weight_map") if isinstance(told, dict) else None
    return set(map(str, weights.values())) if isinstance(weights, dict) else set()


def _folder(cache: Path, repo: str) -> Path:
    return cache / f"models--{repo.replace('/', '--')}"

"""Usage as DeepSeek tells it: cache hits and misses beside OpenAI's own fields. Pure."""

from __future__ import annotations

from typing import Any


def usage(told: dict[str, Any]) -> dict[str, Any]:
    """vLLM's usage block -> DeepSeek's. Counts the engine does not give are 0, as DeepSeek has them.

    prompt_tokens = prompt_cache_hit_tokens + prompt_cache_miss_tokens.
    """
    prompt = told.get("prompt_tokens") or 0
    completion = told.get("completion_tokens") or 0
    hit = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    reasoning = (told.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": told.get("total_tokens") or prompt + completion,
        "prompt_tokens_details": {"cached_tokens": hit},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "prompt_cache_hit_tokens": hit,
        "prompt_cache_miss_tokens": prompt - hit,
    }

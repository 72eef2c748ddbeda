"""Usage as DeepSeek tells it."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect.usage import usage


def told(prompt: int, completion: int, hit: int = 0, reasoning: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": hit},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "prompt_cache_hit_tokens": hit,
        "prompt_cache_miss_tokens": prompt - hit,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, told(0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, told(5, 2)),
        ({"prompt_tokens": 5}, told(5, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, told(5, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, told(5, 0, 4)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}, told(5, 0)),
        (
            {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 8}},
            told(0, 9, 0, 8),
        ),
        ({"completion_tokens": None, "total_tokens": None}, told(0, 0)),
    ],
)
def test_usage(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert usage(given) == expected

"""Embeddings: OpenAI's words and vLLM's are the same; only what is known passes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.dialect.fields import passed
from seekserve.dialect.stream import Events
from seekserve.dialect.usage import usage

_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions"})


class Embeddings:
    """The accent. There are no streams of it."""

    path = "/v1/embeddings"

    def voice(self, show_usage: bool) -> Events:
        raise NotImplementedError

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        counts = usage(answer.get("usage") or {})
        return {
            "object": "list",
            "data": [
                {key: one.get(key) for key in ("object", "index", "embedding")}
                for one in answer.get("data") or ()
            ],
            "model": answer.get("model"),
            "usage": {key: counts[key] for key in ("prompt_tokens", "total_tokens")},
        }


def to_engine(given: Mapping[str, Any]) -> dict[str, Any]:
    """A checked request -> the engine's."""
    return passed(given, _FIELDS)

"""The model list, as OpenAI's and DeepSeek's clients read it. Pure."""

from __future__ import annotations

from typing import Any


def model(name: str, max_model_len: int | None, created: int) -> dict[str, Any]:
    """One model object. `max_model_len` (tokens) is an extra that several clients read."""
    listed: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "seekserve",
    }
    return listed | {"max_model_len": max_model_len} if max_model_len else listed


def listing(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": models}

"""The model list, as OpenAI's and DeepSeek's clients read it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from seekserve.manner import UNKNOWN, Manner


def model(
    name: str,
    max_model_len: int | None,
    created: int,
    manner: Manner = UNKNOWN,
    alias_of: str | None = None,
) -> dict[str, Any]:
    """One model object. `max_model_len` (tokens) is an extra that several clients read; the others
    say what the model can do, and for an alias which model it stands for.
    """
    extras = {
        "max_model_len": max_model_len,
        "family": manner.family or None,
        "thinking": manner.thinking if manner.family else None,
        "fill_in_the_middle": manner.fim != "no" if manner.family else None,
        "alias_of": alias_of,
    }
    listed = {"id": name, "object": "model", "created": created, "owned_by": "seekserve"}
    return listed | {key: value for key, value in extras.items() if value is not None}


def listing(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": models}


def anthropic_listing(models: list[dict[str, Any]]) -> dict[str, Any]:
    """The same in Anthropic's shape: one page of all there are."""
    data = [
        {
            "type": "model",
            "id": one["id"],
            "display_name": one["id"],
            "created_at": datetime.fromtimestamp(one["created"], UTC).isoformat(),
        }
        for one in models
    ]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {"data": data, "has_more": False, "first_id": None, "last_id": None} | ends

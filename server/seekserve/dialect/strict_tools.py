"""Tools with `strict: true`: their schemas must leave nothing open, as DeepSeek and OpenAI ask. Pure.

The engine then holds a call to the schema token by token (vLLM 0.32, --tool-strict-level auto). It
takes more keywords than DeepSeek does (lengths, counts), so those are not refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seekserve.dialect.schemas import inside
from seekserve.errors import BadRequest

_INSIDE = ("properties", "$defs", "definitions")
_BRANCHES = ("anyOf", "allOf", "oneOf", "prefixItems")


def check(tools: Sequence[Mapping[str, Any]]) -> None:
    """Raises BadRequest naming the first object that leaves something open."""
    for place, tool in enumerate(tools):
        function = tool["function"]
        if function.get("strict"):
            at = f"tools.{place}.function.parameters"
            for path, schema in _objects(function.get("parameters") or {}, at):
                _closed(schema, path)


def _objects(schema: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema of an object inside, with its path."""
    for path, here in inside(schema, at, _INSIDE, _BRANCHES, ("items",)):
        if here.get("type") == "object" or "properties" in here:
            yield path, here


def _closed(schema: Mapping[str, Any], path: str) -> None:
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    names = set(properties) if isinstance(properties, Mapping) else set()
    asked = (
        {name for name in required if isinstance(name, str)}
        if isinstance(required, list)
        else set()
    )
    if schema.get("additionalProperties") is not False:
        why = "additionalProperties must be false"
    elif missing := sorted(names - asked):
        why = f"required must name every property, and {missing[0][:60]!r} is missing"
    else:
        return
    raise BadRequest(
        f"{path}: in a strict tool {why}. Mend the schema, or leave strict out.", param=path
    )

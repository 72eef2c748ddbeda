"""What of a request an engine builds something from, and how large that may be: stops, biases, schemas. Pure.

Looked at once all dialects have become the engine's own request, so that none has a way round it. Only
schemas that the engine compiles are read closely: an answer's, and those of tools that are strict or
must be called. The others are text in a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seekserve.dialect import schemas
from seekserve.errors import BadRequest
from seekserve.settings import Limits

VOCABULARY = 262_144
"""More token ids than any model has."""


def check(asked: Mapping[str, Any], limits: Limits) -> None:
    """Raises BadRequest, with the field's path and the number that is too large."""
    _most("logit_bias", len(asked.get("logit_bias") or ()), limits.logit_bias, "entries")
    _most("allowed_token_ids", len(asked.get("allowed_token_ids") or ()), VOCABULARY, "ids")
    for name in ("stop", "bad_words"):
        given = asked.get(name) or ()
        for text in [given] if isinstance(given, str) else given:
            _most(name, len(text), limits.stop_chars, "characters long")
    parts = held = states = 0
    for path, schema, strict in _schemas(asked):
        size = schemas.size(schema, path)
        parts += size
        _most(path, parts, limits.schema_parts, "values, with the schemas before it")
        if strict:
            held += size
            _most(path, held, limits.strict_parts, "values that the engine holds answers to")
            states += schemas.check(schema, path)
            _most(path, states, limits.pattern_states, "states of patterns and lengths")


def _schemas(asked: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Every schema with its path, and whether the engine holds the answer to it."""
    form = (asked.get("response_format") or {}).get("json_schema")
    if form:
        yield "response_format.json_schema.schema", form.get("schema"), True
    forced = asked.get("tool_choice") not in (None, "none", "auto")
    for place, tool in enumerate(asked.get("tools") or ()):
        function = tool["function"]
        path = f"tools.{place}.function.parameters"
        yield path, function.get("parameters"), forced or bool(function.get("strict"))


def _most(path: str, given: int, cap: int, what: str) -> None:
    if given > cap:
        raise BadRequest(f"{path} is {given} {what}; at most {cap} here.", param=path)

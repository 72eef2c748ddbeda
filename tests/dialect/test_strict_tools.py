"""Strict tools: a schema that leaves something open is refused with the place; others pass."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect.strict_tools import check
from seekserve.errors import BadRequest

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def tools(parameters: Any, strict: bool | None = True) -> list[dict[str, Any]]:
    return [
        {"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}}
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        CITY,
        CITY | {"properties": {"city": {"type": "string", "minLength": 1}}},
        CITY | {"properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": CITY}},
        CITY | {"properties": {"city": {"type": "array", "items": CITY}}},
        {},
        None,
        {"type": "string"},
    ],
)
def test_closed_schemas_pass(parameters: Any) -> None:
    check(tools(parameters))


OPEN = {key: value for key, value in CITY.items() if key != "additionalProperties"}


@pytest.mark.parametrize(
    ("parameters", "path", "why"),
    [
        (OPEN, "", "additionalProperties"),
        (CITY | {"additionalProperties": True}, "", "additionalProperties"),
        (CITY | {"required": []}, "", "'city'"),
        (CITY | {"required": "city"}, "", "'city'"),
        (CITY | {"properties": {"city": OPEN}}, ".properties.city", "additionalProperties"),
        (CITY | {"properties": {"city": {"items": OPEN}}}, ".properties.city.items", "additional"),
        (
            CITY | {"properties": {"city": {"anyOf": [CITY, OPEN]}}},
            ".properties.city.anyOf.1",
            "add",
        ),
        (CITY | {"$defs": {"c": OPEN}}, ".$defs.c", "additionalProperties"),
    ],
)
def test_open_schemas_are_refused_with_the_place(parameters: Any, path: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why.replace("'", ".")) as refused:
        check(tools(parameters))
    assert refused.value.param == f"tools.0.function.parameters{path}"


def test_without_strict_nothing_is_asked() -> None:
    check(tools(OPEN, strict=None))
    check(tools(OPEN, strict=False))


def test_depth_is_no_danger() -> None:
    deep: dict[str, Any] = CITY
    for _ in range(20_000):
        deep = {"items": deep}
    check(tools(deep))

"""Which chat format a model speaks, and what follows from it for those who ask it something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from seekserve.errors import UnknownName
from seekserve.manner import UNKNOWN, Manner
from seekserve.plan.catalog import Catalog
from seekserve.plan.facts import CatalogModel, Family

_WITH_FIM_FIELD = ("deepseek_v4", "deepseek_v41")
"""Tokenizer modes whose renderer takes `suffix` (vLLM 0.32, renderers/deepseek_v4.py)."""


def manner_of(
    catalog: Catalog, *names: str, family: str = "", ours: bool = False, priority: bool = False
) -> Manner:
    """By the family's id where it is told, else by the first of `names` that the catalog knows.

    `ours` says that the engine was launched with the family's own parsers, `priority` that it schedules
    by priority. Raises UnknownName for a family that there is not; a model that is not in the catalog
    is UNKNOWN.
    """
    found = UNKNOWN
    if family:
        found = _manner(catalog.family(family), ours)
    elif known := _first_known(catalog, names):
        found = _manner(catalog.families[known.family], ours)
    return replace(found, priority=priority)


def _first_known(catalog: Catalog, names: Iterable[str]) -> CatalogModel | None:
    for name in names:
        try:
            return catalog.model(name)
        except UnknownName:
            continue
    return None


def _manner(family: Family, ours: bool) -> Manner:
    return Manner(
        family=family.id,
        thinking=family.thinking,
        fim=_fim(family),
        effort=family.effort is not None,
        budget=ours and family.reasoning_parser is not None,
    )


def _fim(family: Family) -> Literal["field", "markers", "no"]:
    if not family.fim:
        return "no"
    return "field" if family.tokenizer_mode in _WITH_FIM_FIELD else "markers"

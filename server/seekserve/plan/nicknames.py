"""Names that people type and no file has: `32b`, `v4`, `cpu`, `m3 ultra`. Pure.

A part of a name finds what carries every word of it, where that is one thing alone. Only the planner asks
here: the name of an engine's model is never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from seekserve.errors import Impossible, UnknownName
from seekserve.plan.catalog import Catalog
from seekserve.plan.facts import Accelerator, CatalogModel

APPLE = re.compile(
    r"\b(apple|metal|mps|mac|mac ?(book|studio|mini|pro)|imac|m[1-9]( ?(pro|max|ultra))?)\b"
)
PROCESSOR = ("cpu", "host", "processor")


def model(catalog: Catalog, name: str) -> CatalogModel:
    """By its name, or by a part of it that no other has. Raises UnknownName."""
    try:
        return catalog.model(name)
    except UnknownName:
        found = _of_words(name, {m.id: _model_words(m) for m in catalog.models.values()})
        if len(found) == 1:
            return catalog.models[found[0]]
        if found:
            raise UnknownName(
                f"{name[:60]!r} may be any of {len(found)} models: {', '.join(found)}.",
                "Give one of these names.",
            ) from None
        raise


def accelerator(catalog: Catalog, name: str, memory_gib: float | None = None) -> Accelerator:
    """By its name, or by a part of it that no other has. Raises UnknownName or Impossible."""
    try:
        return catalog.accelerator(name, memory_gib)
    except UnknownName:
        _not_apple(name)
        words = {a.id: _words(a.id, a.name, *a.also) for a in catalog.accelerators.values()}
        found = _of_words("cpu" if name.lower().strip() in PROCESSOR else name, words)
        if len(found) == 1:
            return catalog.accelerators[found[0]]
        if found:
            raise UnknownName(
                f"{name[:60]!r} may be any of {len(found)} accelerators: {', '.join(found)}.",
                _which(catalog, found),
            ) from None
        raise


def _not_apple(name: str) -> None:
    if APPLE.search(re.sub(r"[-_]+", " ", name.lower())):
        raise Impossible(
            f"{name[:60]!r} is Apple's: vLLM does not serve on Metal, so nothing can be planned for it.",
            "On the Mac itself use MLX, llama.cpp or Ollama; or plan for another machine: seekserve gpus "
            "lists what there is.",
        )


def _which(catalog: Catalog, found: list[str]) -> str:
    if all(catalog.accelerators[name].platform == "cpu" for name in found):
        return (
            f"Give one with its memory, such as --gpu {found[0]} --gpu-mem-gib 128; "
            "for this machine's own leave --gpu out and say --platform cpu."
        )
    return "Give one of these names."


def _model_words(one: CatalogModel) -> frozenset[str]:
    sizes = f"{one.params_b:g}b", f"{one.params_b / 1000:g}t"
    return _words(one.id, one.name, *one.also, *sizes)


def _words(*names: str) -> frozenset[str]:
    return frozenset(word for name in names for word in re.findall(r"[a-z0-9.]+", name.lower()))


def _of_words(name: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """The ids that carry every word of `name`; vendors' and brands' words say nothing."""
    wanted = _words(name) - {"deepseek", "ai", "nvidia", "geforce", "amd", "intel", "google"}
    return [id_ for id_, words in known.items() if wanted and wanted <= set(words)]

"""The facts a plan is made of, as shipped in configs/catalog: accelerators, platforms, models.

Names are forgiving: case, spaces and dashes do not matter, vendors' words may be left out, and a miss
names the nearest. Every entry carries where its figures come from and how sure they are.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from seekserve.config import configs_dir
from seekserve.errors import ConfigError, UnknownName
from seekserve.plan.facts import Accelerator, CatalogModel, Fact, Family, Kernels, Platform

# Words a name may carry or not: vendors' and brands', never what tells two products apart.
ELSE = {
    "accelerator": "seekserve gpus lists them all. For any other: --gpu generic:COUNT --gpu-mem-gib SIZE "
    "--gpu-bandwidth-gbs SPEED.",
    "model": "seekserve models lists them all.",
}
_NOISE = re.compile(
    r"\b(nvidia|geforce|amd|instinct|radeon|huawei|google|intel|deepseek[- ]ai/|graphics|gpu)\b"
)


Named = TypeVar("Named", Accelerator, CatalogModel)


class Catalog(Fact):
    """All of it. `find_*` raise UnknownName with the nearest names."""

    accelerators: dict[str, Accelerator]
    platforms: dict[str, Platform]
    kernel_rows: tuple[Kernels, ...]
    geometries: dict[str, dict[str, Any]]
    families: dict[str, Family]
    models: dict[str, CatalogModel]

    def accelerator(self, name: str, memory_gib: float | None = None) -> Accelerator:
        """By id, product name or what a driver calls it; `memory_gib` tells namesakes apart."""
        return _find(name, "accelerator", self._accelerators, memory_gib)

    def model(self, name: str) -> CatalogModel:
        """By id, repository (of any variant) or a name people use."""
        return _find(name, "model", self._models)

    def family(self, name: str) -> Family:
        """A chat format by its id. Raises UnknownName."""
        if name not in self.families:
            raise UnknownName(
                f"There is no family {name[:60]!r} in the catalog.",
                f"Known: {', '.join(self.families)}.",
            )
        return self.families[name]

    def kernels(self, arch: str) -> Kernels:
        for row in self.kernel_rows:
            if any(fnmatch(arch, pattern) for pattern in row.arch):
                return row
        raise ConfigError(f"configs/catalog/platforms.yaml has no kernels row for {arch!r}.")

    def variant_of(self, repo: str) -> str | None:
        """The weights' format that this repository holds, where it is one of the catalog's."""
        for model in self.models.values():
            for weights, variant in model.weights.items():
                if variant.repo.lower() == repo.lower():
                    return weights
        return None

    @cached_property
    def _accelerators(self) -> dict[str, list[Accelerator]]:
        return _spellings((x, (x.id, x.name, *x.also)) for x in self.accelerators.values())

    @cached_property
    def _models(self) -> dict[str, list[CatalogModel]]:
        return _spellings(
            (m, (m.id, m.name, m.repo, *m.also, *(v.repo for v in m.weights.values())))
            for m in self.models.values()
        )


def _spellings(entries: Iterable[tuple[Named, tuple[str, ...]]]) -> dict[str, list[Named]]:
    known: dict[str, list[Named]] = {}
    for entry, names in entries:
        for plain in {_plain(name) for name in names}:
            known.setdefault(plain, []).append(entry)
    return known


def _plain(name: str) -> str:
    """A name without case, separators, a repository's owner and vendors' words."""
    text = _NOISE.sub(" ", name.lower().rsplit("/", 1)[-1])
    return re.sub(r"[^a-z0-9.]", "", text).removeprefix("deepseek")


def _find(
    name: str, what: str, known: Mapping[str, list[Named]], memory_gib: float | None = None
) -> Named:
    plain = _plain(name)
    found = known.get(plain) or known.get(f"rtx{plain}") or known.get(f"rtx{plain}g")
    if not found:
        near = difflib.get_close_matches(plain, known, n=4, cutoff=0.5)
        ids = sorted({entry.id for key in near for entry in known[key]})
        hint = f" Did you mean {', '.join(ids[:4])}?" if ids else ""
        raise UnknownName(
            f"There is no {what} called {name[:60]!r} in the catalog.{hint}",
            ELSE[what],
        )
    if memory_gib is None or len(found) == 1:
        return found[0]
    return min(found, key=lambda entry: abs((getattr(entry, "memory_gib", 0) or 0) - memory_gib))


def load_catalog(folder: Path | None = None) -> Catalog:
    """The shipped catalog, or one in `folder`. Raises ConfigError naming the file and the field."""
    return _shipped() if folder is None else _read(folder)


@functools.cache
def _shipped() -> Catalog:
    """Read once a process: what is shipped does not change while it runs."""
    return _read(configs_dir() / "catalog")


def _read(folder: Path) -> Catalog:
    pages = {
        name: _page(folder / f"{name}.yaml") for name in ("accelerators", "platforms", "models")
    }
    try:
        return Catalog.model_validate(
            {
                "accelerators": _keyed(pages["accelerators"]["accelerators"]),
                "platforms": _keyed(pages["platforms"]["platforms"]),
                "kernel_rows": pages["platforms"]["kernels"],
                "geometries": pages["models"]["geometries"],
                "families": _keyed(pages["models"]["families"]),
                "models": _keyed(pages["models"]["models"]),
            }
        )
    except ValidationError as error:
        worst = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in worst["loc"])
        raise ConfigError(
            f"The catalog in {folder} does not fit: {where}: {worst['msg']}"
        ) from error


def _keyed(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: {"id": key, **entry} for key, entry in entries.items()}


def _page(path: Path) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is
    try:
        return yaml.load(path.read_text(), loader)  # noqa: S506  both are the safe loader
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read {path}: {error}") from error

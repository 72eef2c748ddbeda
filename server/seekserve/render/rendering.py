"""The four kinds by name, and what is checked in under deploy/. Pure.

`python -m seekserve.render.rendering deploy` writes those files anew; a test holds them to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from seekserve import __version__
from seekserve.config import read_tier, tier_names
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.render.batch import batch
from seekserve.render.compose import compose
from seekserve.render.kubernetes import kubernetes
from seekserve.render.order import Asked, Kind, Order, order
from seekserve.render.units import units

RENDER: dict[Kind, Callable[[Order], dict[str, str]]] = {
    "compose": compose,
    "kubernetes": kubernetes,
    "systemd": units,
    "slurm": batch,
}
# Beside one compose file for every tier and platform: what a folder of its own is made of.
TWO_NODES = ("--gpu", "a100-80g:8", "--nodes", "2")
FOLDERS: dict[str, tuple[str, ...]] = {
    "kubernetes/demo": (),
    "kubernetes/cpu": ("--gpu", "cpu-amx:1"),
    "kubernetes/consumer": ("--gpu", "rtx-4090:1"),
    "kubernetes/enterprise": ("--gpu", "a100-80g:4"),
    "kubernetes/enterprise.rocm": ("--gpu", "mi300x:1"),
    "kubernetes/flagship": TWO_NODES,
    "systemd/cpu": (),
    "systemd/enterprise": (),
    "systemd/flagship": TWO_NODES,
    "slurm/enterprise": (),
    "slurm/flagship": TWO_NODES,
}


def render(catalog: Catalog, asked: Asked) -> dict[str, str]:
    """Paths and texts. Raises ConfigError, UnknownName or Impossible."""
    return RENDER[asked.kind](order(catalog, asked))


def shipped(catalog: Catalog) -> dict[str, str]:
    """Everything under deploy/ that is rendered, by its path there."""
    return {
        f"{folder}/{name}": text
        for folder, one in orders(catalog)
        for name, text in RENDER[one.asked.kind](one).items()
    }


def orders(catalog: Catalog) -> Iterator[tuple[str, Order]]:
    """The folder under deploy/ that each order goes to. What several ask of the planner, it is asked once."""
    planned: dict[tuple[object, ...], Order] = {}
    for folder, asked in _shipped(catalog):
        same = (asked.tier.tier, asked.gpu, asked.nodes, asked.platform)
        planned[same] = planned.get(same) or order(catalog, asked)
        yield folder, replace(planned[same], asked=asked)


def _shipped(catalog: Catalog) -> Iterator[tuple[str, Asked]]:
    for name in tier_names():
        for words in _vendors(catalog, name):
            yield "compose", _asked("compose", name, "compose", words)
    yield "compose", _asked("compose", "flagship", "compose", TWO_NODES)
    for folder, words in FOLDERS.items():
        kind, _, stem = folder.partition("/")
        yield folder, _asked(kind, stem.partition(".")[0], folder, words)


def _vendors(catalog: Catalog, name: str) -> Iterator[tuple[str, ...]]:
    """For each platform of which the tier's list has one machine: the first, the usual, without a word."""
    tier = read_tier(name)
    if not tier.ladder:
        if tier.tier == "demo":
            yield ()
        return
    listed = [(catalog.accelerator(one.gpu).platform, one.nodes) for one in tier.hardware]
    usual = listed[0][0]
    for platform in dict.fromkeys(platform for platform, nodes in listed if nodes == 1):
        yield () if platform == usual else ("--platform", platform)


def _asked(kind: str, tier: str, folder: str, words: tuple[str, ...]) -> Asked:
    said = dict(zip(words[::2], words[1::2], strict=True))
    line = " ".join(("seekserve render", kind, "--tier", tier, *words, "-o", f"deploy/{folder}"))
    return Asked(
        kind=next(known for known in RENDER if known == kind),
        tier=read_tier(tier),
        command=line,
        version=__version__,
        gpu=said.get("--gpu"),
        nodes=int(said.get("--nodes", "1")),
        platform=said.get("--platform"),
    )


def main() -> None:
    """Writes them under the folder named."""
    for name, text in shipped(load_catalog()).items():
        path = Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()

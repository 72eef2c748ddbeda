"""Words -> the things a plan is about: clusters and models. Reads a config.json, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

from seekserve.errors import ConfigError, Impossible, UnknownName
from seekserve.plan import nicknames
from seekserve.plan.catalog import Catalog
from seekserve.plan.detect import Machine
from seekserve.plan.facts import Accelerator, CatalogModel, Link, Platform
from seekserve.plan.formats import of_config, read_format
from seekserve.plan.sane import read_sane
from seekserve.plan.shape import read_shape
from seekserve.plan.wish import Cluster, Subject

GENERIC = "generic"
MOST_CARDS, MOST_NODES, MOST = 1024, 128, 1e6
SOME_FREE = 0.1
ALL_FREE = 0.93  # drivers keep some of an idle card for themselves
ARCHITECTURE = {
    "cuda": "sm80",
    "rocm": "gfx1100",
    "ascend": "910b",
    "gaudi": "gaudi3",
    "xpu": "xpu-bmg",
}
LARGEST_CONFIG = 4 * 1024 * 1024
CPU_BY_ISA = {"amx": "cpu-amx", "avx512": "cpu-avx512", "arm": "cpu-arm"}


def cluster_of(
    catalog: Catalog,
    gpu: str,
    nodes: int = 1,
    memory_gib: float | None = None,
    bandwidth_gbs: float | None = None,
    platform: str | None = None,
) -> Cluster:
    """`rtx-4090:4` on each of `nodes`. Raises UnknownName or Impossible."""
    if nodes > MOST_NODES:
        raise Impossible(f"{nodes:,} nodes are more than the {MOST_NODES} this plans for.", "")
    for flag, size in (("--gpu-mem-gib", memory_gib), ("--gpu-bandwidth-gbs", bandwidth_gbs)):
        if size is not None and not 0 < size < MOST:
            raise Impossible(f"{flag} {size:g} is no size of a card.", "Give it in GiB, or GB/s.")
    name, count = _counted(gpu)
    if name.lower() == GENERIC:
        accelerator = _generic(memory_gib, bandwidth_gbs, platform)
    else:
        accelerator = nicknames.accelerator(catalog, name, memory_gib)
    if bandwidth_gbs:
        accelerator = accelerator.model_copy(update={"bandwidth_gbs": bandwidth_gbs})
    size = memory_gib or accelerator.memory_gib
    if size is None:
        raise Impossible(
            f"{accelerator.name} uses the host's memory, whose size is not said.",
            "Give it: --gpu-mem-gib.",
        )
    where = _platform(catalog, platform or accelerator.platform)
    if where.id != accelerator.platform and accelerator.id != GENERIC:
        raise Impossible(
            f"{accelerator.name} does not run on {where.name}.", "Leave --platform out."
        )
    return Cluster(accelerator, where, count, nodes, size)


def _counted(gpu: str) -> tuple[str, int]:
    """`4090:4`, `4 x 4090`, `4090 x4` or `4090` -> name and count. Raises Impossible."""
    name, count = gpu.partition(":")[::2]
    if found := re.fullmatch(r"\s*(\d+)\s*[xX*×]\s*(.+)", gpu):
        name, count = found[2], found[1]
        if name.isdecimal() and int(name) < int(count):  # 4090x2: nobody has so many cards
            name, count = count, name
    elif found := re.fullmatch(r"(.*\d.*?)(?:\s+[xX]|(?<=\d)[xX]|\s*[*×])\s*(\d+)\s*", gpu):
        name, count = found[1], found[2]
    if "," in gpu:
        raise Impossible(
            f"--gpu {gpu[:60]!r} names different cards; a model runs on cards that are alike.",
            "Plan for each kind by itself.",
        )
    if not (count or "1").isdecimal() or len(count) > 6 or not 1 <= int(count or 1) <= MOST_CARDS:
        raise Impossible(
            f"--gpu {gpu[:40]!r}: {count[:20]!r} is no count of cards from 1 to {MOST_CARDS}.",
            "Like rtx-4090:4.",
        )
    return name.strip(), int(count or 1)


def _generic(
    memory_gib: float | None, bandwidth_gbs: float | None, platform: str | None
) -> Accelerator:
    """Any other card: taken for a recent NVIDIA one unless a platform is named."""
    if memory_gib is None:
        raise Impossible("A generic card's memory is not known.", "Give it: --gpu-mem-gib.")
    return Accelerator(
        id=GENERIC,
        name="generic",
        platform=platform or "cuda",
        arch="sm90",
        memory_gib=memory_gib,
        bandwidth_gbs=bandwidth_gbs or 0.0,
        link=Link(name="unknown", gbs=0, p2p=False),
        source="the command line",
        sure="U",
    )


def _platform(catalog: Catalog, name: str) -> Platform:
    if name not in catalog.platforms:
        raise UnknownName(
            f"There is no platform {name[:40]!r}.", f"Known: {', '.join(catalog.platforms)}."
        )
    return catalog.platforms[name]


def cluster_here(catalog: Catalog, machine: Machine, platform: str | None = None) -> Cluster:
    """What was detected. Tools tell a board's memory, the catalog what a runtime has: the less counts."""
    where = _platform(catalog, platform or machine.platform)
    if where.id == "cpu" or not machine.devices:
        accelerator = catalog.accelerators[CPU_BY_ISA.get(machine.host.isa, "cpu-avx2")]
        cpu = accelerator.model_copy(update={"name": machine.host.cpu or accelerator.name})
        return Cluster(cpu, catalog.platforms["cpu"], 1, 1, machine.host.available_gib)
    first = machine.devices[0]
    least = min(device.memory_gib for device in machine.devices)
    try:
        known = catalog.accelerator(first.name, first.memory_gib)
    except UnknownName:
        known = _stranger(first.name, least, where.id)
    size = min(least, known.memory_gib) if known.memory_gib else least
    free = min(
        (d.free_gib / d.memory_gib for d in machine.devices if d.free_gib is not None), default=1.0
    )
    if free < SOME_FREE:
        raise Impossible(
            f"Others hold {1 - free:.0%} of {first.name}'s memory.",
            "Free it: nvidia-smi shows who.",
        )
    share = 1.0 if free > ALL_FREE else free
    return Cluster(known, where, len(machine.devices), 1, size, share)


def _stranger(name: str, memory_gib: float, platform: str) -> Accelerator:
    """A card the catalog does not know: planned by its memory, as if of a middle-aged kind."""
    return _generic(memory_gib, None, platform).model_copy(
        update={"name": f"{name} (not in the catalog)", "arch": ARCHITECTURE.get(platform, "sm80")}
    )


def subject_of(catalog: Catalog, text: str) -> Subject:
    """By name, Hugging Face id, or the path of a config.json or its folder."""
    path = _path(text)
    if path.exists() or text.endswith(".json"):
        return _from_file(path / "config.json" if path.is_dir() else path)
    try:
        model = nicknames.model(catalog, text)
        weights = catalog.variant_of(text) if "/" in text else None
        only = weights if weights and text.lower() != model.repo.lower() else ""
        return of_catalog(catalog, model, only=only)
    except UnknownName as error:
        if "/" not in text:
            raise
        raise UnknownName(
            error.message, "For any other checkpoint, give the path of its config.json."
        ) from error


def of_catalog(
    catalog: Catalog, model: CatalogModel, platform: str = "cuda", only: str = ""
) -> Subject:
    """A model of the catalog, with what differs on `platform`; `only` one of its formats."""
    there = model.platforms.get(platform)
    family = catalog.families[model.family]
    said = model.speculative or family.speculative
    if there and "speculative" in there.model_fields_set:
        said = there.speculative
    variants = {
        name: variant
        for name, variant in model.weights.items()
        if platform in (variant.platforms or (platform,)) and (not only or name == only)
    }
    return Subject(
        name=model.id,
        shape=read_shape(catalog.geometries[model.geometry]),
        context=model.context,
        family=family,
        variants=variants,
        formats={n: read_format(n, v.group_size) for n, v in variants.items()},
        platform_weights=there.weights if there else None,
        platform_args=there.args if there else {},
        platform_kv=there.kv_cache_dtypes if there else (),
        speculative=said,
        only=only,
        host_gib=(model.engram_host_gb or 0) * 1e9 / 2**30,
    )


def _path(text: str) -> Path:
    """The path that `text` may be. Raises UnknownName for what can be neither a path nor a name."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise UnknownName(
            f"{text[:60]!r} is neither a model's name nor a path.", "seekserve models lists them."
        ) from error
    return path


def _from_file(path: Path) -> Subject:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
            raise ConfigError(f"{path} is not a model's config.json.")
        config = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON.") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not a model's config.json.")
    shape = read_sane(config)
    form = of_config(config)
    name = path.parent.name if path.name == "config.json" else path.stem
    folder = str(path.parent.absolute()) if path.name == "config.json" else ""
    return Subject(name, shape, shape.max_len, None, {}, {form.name: form}, folder=folder)

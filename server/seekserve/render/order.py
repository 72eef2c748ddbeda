"""What is to be rendered: a tier, where it is to run, and what the planner makes of that. Pure.

Two ways to ask. For one cluster (`gpu`), which pins its count of devices. Or for a whole class of
hardware, by the tier's own list: then the server that is started takes the rung for what it finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from seekserve.config import ATTACHED
from seekserve.errors import ConfigError, Impossible, UnknownName
from seekserve.plan.catalog import Catalog
from seekserve.plan.facts import Platform
from seekserve.plan.ladder import climb
from seekserve.plan.planner import cluster_of
from seekserve.plan.wish import Cluster, Plan, Wish
from seekserve.settings import Hardware, Listen, Tier

Kind = Literal["compose", "kubernetes", "systemd", "slurm"]
KINDS: tuple[Kind, ...] = ("compose", "kubernetes", "systemd", "slurm")
# Platforms that the Dockerfile has a target of the same name for; for any other an image must be named.
TARGETS = ("cpu", "cuda", "rocm", "ascend", "tpu", "xpu")
AFTER_S = 10  # beyond what a stop waits for: the server's own last words


@dataclass(frozen=True)
class Asked:
    """As the command line has it. `command` renders it again; `path` is a tier file's, if it is one."""

    kind: Kind
    tier: Tier
    command: str
    version: str
    path: str = ""
    gpu: str | None = None
    gpu_mem_gib: float | None = None
    nodes: int = 1
    platform: str | None = None
    cdi: bool = False
    rdma: bool = False


@dataclass(frozen=True)
class Order:
    """What was asked, planned. `plans` are one for each kind of hardware; none for a tier without choice."""

    asked: Asked
    catalog: Catalog
    platform: Platform
    plans: tuple[Plan, ...]

    @property
    def tier(self) -> Tier:
        return self.asked.tier

    @property
    def plan(self) -> Plan | None:
        """The one plan, where one cluster was asked for."""
        return self.plans[0] if self.plans and self.asked.gpu else None

    @property
    def count(self) -> int | None:
        """Devices of a node, where it is always the same number."""
        counts = {plan.cluster.per_node for plan in self.plans}
        return counts.pop() if len(counts) == 1 else None

    @property
    def stem(self) -> str:
        """What its files are called after: the tier, and the platform where it is not the usual one."""
        usual = _usual(self.tier, self.catalog)
        name = re.sub(r"[^a-z0-9.-]+", "-", self.tier.tier.lower()).strip("-.") or "tier"
        return name + (f".{self.platform.id}" if self.platform.id != usual else "")

    @property
    def grace_s(self) -> int:
        """How long a stop may take before it is cut short."""
        return int(Listen().drain_s + self.tier.engine.stop_grace_s + AFTER_S)

    @property
    def image(self) -> str | None:
        target = self.platform.id
        return f"seekserve:{self.asked.version}-{target}" if target in TARGETS else None


def order(catalog: Catalog, asked: Asked) -> Order:
    """Raises ConfigError, UnknownName or Impossible, each with what to do."""
    _sane(asked)
    if asked.tier.tier == ATTACHED:
        raise ConfigError(
            "The tier attach is for engines that already run: there is nothing to render.",
            "Choose another (seekserve tiers), or start the gateway alone: seekserve serve --engine URL.",
        )
    if not asked.tier.ladder:
        return Order(asked, catalog, _platform(catalog, asked, "cpu"), ())
    if asked.gpu is None:
        return _of_list(catalog, asked)
    cluster = cluster_of(
        catalog, asked.gpu, asked.nodes, _memory(catalog, asked), None, asked.platform
    )
    return Order(asked, catalog, cluster.platform, (_planned(catalog, asked.tier, cluster),))


def _sane(asked: Asked) -> None:
    if asked.nodes < 1:
        raise ConfigError(f"--nodes {asked.nodes} is no number of nodes.", "Give 1 or more.")
    if asked.gpu and not asked.tier.ladder:
        raise ConfigError(
            f"The tier {asked.tier.tier} names its model and flags itself: nothing is planned for --gpu.",
            "Leave --gpu out; --platform names what it runs on.",
        )
    if asked.gpu_mem_gib is not None and asked.gpu is None:
        raise ConfigError(
            "--gpu-mem-gib is the size of a card named with --gpu.", "Name it, or leave both out."
        )


def _planned(catalog: Catalog, tier: Tier, cluster: Cluster) -> Plan:
    return climb(catalog, tier, cluster, Wish()).plan


def _of_list(catalog: Catalog, asked: Asked) -> Order:
    """For every hardware that the tier's own list has of this platform and number of nodes."""
    tier = asked.tier
    platform = _platform(catalog, asked, _usual(tier, catalog))
    fitting, why = [], ""
    for one in tier.hardware:
        accelerator = catalog.accelerator(one.gpu)
        if (accelerator.platform, one.nodes) == (platform.id, asked.nodes):
            cluster = cluster_of(catalog, f"{one.gpu}:{one.count}", one.nodes, one.memory_gib)
            try:
                fitting.append(_planned(catalog, tier, cluster))
            except Impossible as error:
                why = f" {error.message}"
    if not fitting:
        raise Impossible(
            f"The tier {tier.tier} names no hardware of {_nodes(asked.nodes)} on {platform.name}.{why}",
            f"It names {_named(tier)}. For any other give --gpu NAME:COUNT (seekserve gpus).",
        )
    return Order(asked, catalog, platform, tuple(fitting))


def only(ordered: Order) -> Plan:
    """The plan, for what cannot do with several. Raises ConfigError."""
    if plan := ordered.plan:
        return plan
    tier, kind = ordered.tier, ordered.asked.kind
    raise ConfigError(
        f"render {kind} starts engines by one plan, and the tier {tier.tier} is for many kinds of hardware.",
        f"Say which: --gpu NAME:COUNT. It names {_named(tier)}.",
    )


def _memory(catalog: Catalog, asked: Asked) -> float | None:
    """A host's memory is not in the catalog: what the tier says of that hardware, where nothing is said."""
    if asked.gpu_mem_gib is not None:
        return asked.gpu_mem_gib
    named = {one.gpu: one.memory_gib for one in asked.tier.hardware if one.memory_gib}
    return named.get((asked.gpu or "").partition(":")[0])


def _platform(catalog: Catalog, asked: Asked, usual: str) -> Platform:
    name = asked.platform or usual
    if name not in catalog.platforms:
        raise UnknownName(
            f"There is no platform {name[:40]!r}.", f"Known: {', '.join(catalog.platforms)}."
        )
    return catalog.platforms[name]


def _usual(tier: Tier, catalog: Catalog) -> str:
    """The platform that a tier's list begins with."""
    return catalog.accelerator(tier.hardware[0].gpu).platform if tier.hardware else "cpu"


def _named(tier: Tier) -> str:
    return ", ".join(_words(one) for one in tier.hardware) or "none"


def _words(one: Hardware) -> str:
    return f"{one.gpu}:{one.count}" + (f" on {one.nodes} nodes" if one.nodes > 1 else "")


def _nodes(count: int) -> str:
    return "one node" if count == 1 else f"{count} nodes"

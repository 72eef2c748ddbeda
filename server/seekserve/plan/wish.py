"""What a plan is asked for, and what it comes to: the two ends of the planner. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seekserve.plan.facts import Accelerator, Family, Platform, Variant
from seekserve.plan.formats import Format
from seekserve.plan.layout import Layout
from seekserve.plan.memory import Overhead, Verdict
from seekserve.plan.shape import Shape
from seekserve.plan.version import Version
from seekserve.settings import Flag


@dataclass(frozen=True)
class Cluster:
    """Like devices in like nodes. `memory_gib` is one device's, as the runtime reports it."""

    accelerator: Accelerator
    platform: Platform
    per_node: int
    nodes: int
    memory_gib: float
    free_share: float = 1.0  # of a device's memory that nobody else holds

    @property
    def gpus(self) -> int:
        return self.per_node * self.nodes

    @property
    def words(self) -> str:
        """Such as "2 nodes of 8 x NVIDIA A100-SXM4-80GB"."""
        nodes = f"{self.nodes} nodes of " if self.nodes > 1 else ""
        return f"{nodes}{self.per_node} x {self.accelerator.name}"


@dataclass(frozen=True)
class Wish:
    """Every choice that may be made for the planner; None leaves it to it."""

    weights: str | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    ep: bool | None = None
    dcp: int | None = None
    utilization: float | None = None
    max_model_len: int | None = None
    enough: int | None = None  # tokens of context that are looked for before the usual
    kv_cache_dtype: str | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool = False
    version: Version | None = None
    speculate: bool | None = None
    price_per_hour: float | None = None
    executor: str | None = None  # "ray" where asked for


@dataclass(frozen=True)
class Subject:
    """The model to place: from the catalog, or read from a config.json (then without a family).

    `folder` is where a checkpoint lies on this machine; `only` the one format asked for by its own id.
    """

    name: str
    shape: Shape
    context: int
    family: Family | None
    variants: Mapping[str, Variant]
    formats: Mapping[str, Format]
    platform_weights: str | None = None
    platform_args: Mapping[str, Flag] = field(default_factory=dict)
    platform_kv: tuple[str, ...] = ()
    speculative: Mapping[str, Any] | None = None
    folder: str = ""
    only: str = ""
    host_gib: float = 0.0  # pinned on each node beside the devices (V4.1's Engram tables)


@dataclass(frozen=True)
class Speed:
    """Upper bounds from bandwidth and arithmetic; tokens per second. Cost in the price's currency."""

    decode_batch1: float | None = None
    prefill: float | None = None
    cost_per_million: float | None = None


@dataclass(frozen=True)
class NodeCommand:
    """What one node runs. `argv` begins with the program; `env` is what it adds."""

    node: int
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """One answer. Bytes are of the fullest device; `reasons` say why, `advice` what would do better.

    What was refused before its memory was counted has no weights_bytes, and no layout but in name.
    """

    verdict: Verdict
    subject: Subject
    cluster: Cluster
    weights: str
    kv_cache_dtype: str
    layout: Layout
    utilization: float
    weights_bytes: float
    overhead: Overhead | None
    kv_bytes: float
    kv_bytes_per_token: float
    request_bytes: float
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    enforce_eager: bool
    drafting: bool
    version: Version
    speed: Speed = Speed()
    commands: tuple[NodeCommand, ...] = ()
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def max_concurrency(self) -> float:
        """Requests of `max_model_len` that fit at once, as vLLM's log says it."""
        return max(0.0, self.kv_bytes / self.request_bytes) if self.request_bytes else 0.0

    @property
    def kv_tokens(self) -> int:
        """As vLLM's log says it: concurrency times length."""
        return int(self.max_concurrency * self.max_model_len)

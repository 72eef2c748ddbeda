"""What the catalog's files hold, row by row: frozen and checked. Units are in each file's own heading."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from seekserve.settings import Commit, Flag

Sure = Literal["V", "S", "C", "U"]
Speculative = dict[str, Any]


class Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Link(Fact):
    name: str
    gbs: float
    p2p: bool


class Accelerator(Fact):
    """One kind of device as vLLM sees it. Units as in accelerators.yaml: GiB, GB/s, TFLOPS."""

    id: str
    name: str
    also: tuple[str, ...] = ()
    platform: str
    arch: str
    memory_gib: float | None
    bandwidth_gbs: float
    tflops: dict[str, float] = {}
    link: Link | None = None
    per_node: int = 8
    dies: int = 1
    source: str
    sure: Sure


class Platform(Fact):
    """Where vLLM runs: the version pinned there, and what an engine and its container need."""

    id: str
    name: str
    vllm: str | None
    utilization: float
    image: str
    install: str
    visible: str
    env: dict[str, str] = {}
    args: dict[str, Flag] = {}
    container: dict[str, Any] = {}
    notes: str = ""
    source: str
    sure: Sure


class Kernels(Fact):
    """What the pinned vLLM can run on the silicon whose `arch` matches; null is cannot."""

    arch: tuple[str, ...]
    dense_mla: str | None
    sparse_mla: str | None
    v4: str | None
    v41: str | None = "as v4"
    why_not_sparse: str = ""
    fp8_weights: str | None
    int8_weights: str | None
    int4_weights: str | None
    fp4_experts: str | None
    nvfp4_weights: str | None
    fp8_kv_gqa: bool
    fp8_kv_mla: bool
    bf16: bool
    since: dict[str, str] = {}
    source: str
    sure: Sure


class Family(Fact):
    """What serving one chat format needs."""

    id: str
    thinking: Literal["always", "hybrid", "never"]
    thinks_by_default: bool
    reasoning_parser: str | None
    tool_parser: str | None
    chat_template: str | None
    tokenizer_mode: str | None
    attention: Literal["gqa", "mla", "dsa", "csa"]
    temperature: float
    top_p: float
    effort: dict[str, str | int] | None
    fim: bool
    min_vllm: str | dict[str, str]
    trust_remote_code: bool
    args: dict[str, Flag] = {}
    env: dict[str, str] = {}
    kv_cache_dtypes: tuple[str, ...]
    speculative: Speculative | None
    source: str
    sure: Sure


class Variant(Fact):
    """One checkpoint of a model: a format of its weights."""

    repo: str
    revision: Commit = ""
    disk_gb: float
    group_size: int | None = None
    platforms: tuple[str, ...] = ()
    quantization: str | None = None
    source: str
    sure: Sure


class Elsewhere(Fact):
    """What is different about a model on one platform."""

    weights: str | None = None
    args: dict[str, Flag] = {}
    kv_cache_dtypes: tuple[str, ...] = ()
    speculative: Speculative | None = None


class CatalogModel(Fact):
    id: str
    name: str
    repo: str
    also: tuple[str, ...] = ()
    family: str
    geometry: str
    kind: Literal["chat", "code", "base"]
    released: date
    licence: str
    params_b: float
    active_b: float
    context: int
    sees: bool = False
    drafter_gb: float | None = None
    engram_host_gb: float | None = None
    speculative: Speculative | None = None
    platforms: dict[str, Elsewhere] = {}
    weights: dict[str, Variant] = Field(min_length=1)
    source: str
    sure: Sure

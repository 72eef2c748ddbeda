"""`plan`, `models`, `gpus`, `tiers`: what runs on which hardware, before anything is downloaded.

They import nothing that serves: an answer for every model takes less than half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from seekserve.config import read_tier, tier_names
from seekserve.errors import ConfigError
from seekserve.plan import planner, tables
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.detect import Machine, detect
from seekserve.plan.ladder import best
from seekserve.plan.version import read_version
from seekserve.plan.wish import Cluster, Plan, Wish
from seekserve.printing import Json, listed, show, show_all, told

MISFIT = 2
Look = Callable[[], Machine]
"""How this machine is looked at; the context's `obj` may be another."""


def add_planning(cli: typer.Typer) -> None:
    for verb in (plan, tiers, models, gpus):
        cli.command()(verb)


def plan(
    context: typer.Context,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:COUNT]",
            help="Cards in each node. Default: this machine's. Any other card: generic:COUNT with "
            "--gpu-mem-gib and --gpu-bandwidth-gbs.",
        ),
    ] = None,
    nodes: Annotated[int, typer.Option(metavar="N", help="Nodes like it.")] = 1,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|ID|PATH",
            help="A model of the catalog, a Hugging Face id, or a config.json or its folder. "
            "Default: every chat and code model.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="bf16, fp8, int8, int4, awq, gptq, nvfp4 ..."),
    ] = None,
    tp: Annotated[int | None, typer.Option(metavar="N", help="Tensor-parallel ranks.")] = None,
    pp: Annotated[int | None, typer.Option(metavar="N", help="Pipeline stages.")] = None,
    dp: Annotated[int | None, typer.Option(metavar="N", help="Data-parallel ranks.")] = None,
    ep: Annotated[
        bool | None, typer.Option("--ep/--no-ep", help="Whole experts on each rank, or slices.")
    ] = None,
    dcp: Annotated[
        int | None, typer.Option(metavar="N", help="Ranks that share out the KV cache's tokens.")
    ] = None,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Of each card's memory, up to 1.")
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(metavar="TOKENS", help="Context of one request.")
    ] = None,
    kv_cache_dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="auto, fp8, fp8_ds_mla ...")
    ] = None,
    max_num_seqs: Annotated[
        int | None, typer.Option(metavar="N", help="Sequences in one step.")
    ] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens in one step.")
    ] = None,
    enforce_eager: Annotated[
        bool, typer.Option("--enforce-eager", help="No CUDA graphs: less memory, slower.")
    ] = False,
    speculate: Annotated[
        bool | None, typer.Option("--speculate/--no-speculate", help="Draft tokens ahead.")
    ] = None,
    gpu_mem_gib: Annotated[
        float | None, typer.Option(metavar="GIB", help="A card's true size.")
    ] = None,
    gpu_bandwidth_gbs: Annotated[
        float | None, typer.Option(metavar="GB/S", help="A card's memory bandwidth.")
    ] = None,
    vllm_version: Annotated[
        str | None, typer.Option(metavar="X.Y", help="Default: the one its platform pins.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option(metavar="NAME", help="cuda, rocm, ascend, tpu, xpu, gaudi or cpu.")
    ] = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option(metavar="PRICE", help="Of the whole cluster, for a cost per token."),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Spread over nodes with Ray.")] = False,
    as_data: Json = False,
) -> None:
    """Say what fits this hardware or any other, and how to run it.

    \b
      seekserve plan                                  this machine, every model
      seekserve plan --gpu 4090:4 --model r1-distill-qwen-32b
      seekserve plan --gpu a100-80g:8 --nodes 2 --model deepseek-r1

    What is not given is chosen. Exit codes: 0 fits or is tight, 2 does not fit or cannot be.
    """
    with told(as_data):
        _positive(
            nodes=nodes, tp=tp, pp=pp, dp=dp, dcp=dcp, max_model_len=max_model_len,
            max_num_seqs=max_num_seqs, max_num_batched_tokens=max_num_batched_tokens,
            gpu_mem_gib=gpu_mem_gib, gpu_bandwidth_gbs=gpu_bandwidth_gbs,
            price_per_hour=price_per_hour, gpu_memory_utilization=gpu_memory_utilization,
        )  # fmt: skip
        if gpu_memory_utilization and gpu_memory_utilization > 1:
            raise ConfigError(
                f"--gpu-memory-utilization {gpu_memory_utilization:g} is more than the whole card.",
                "Give a share above 0 and up to 1, such as 0.9.",
            )
        wish = Wish(
            weights=weights, tp=tp, pp=pp, dp=dp, ep=ep, dcp=dcp,
            utilization=gpu_memory_utilization, max_model_len=max_model_len,
            kv_cache_dtype=kv_cache_dtype, max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens, enforce_eager=enforce_eager,
            version=read_version(vllm_version) if vllm_version is not None else None,
            speculate=speculate, price_per_hour=price_per_hour, executor="ray" if ray else None,
        )  # fmt: skip
        catalog = load_catalog()
        look: Look = context.obj or detect
        cluster = _cluster(catalog, gpu, nodes, (gpu_mem_gib, gpu_bandwidth_gbs), platform, look)
        if model is None:
            found = _surveyed(catalog, cluster, wish)
            show_all(found, as_data)
        else:
            found = (planner.plan(catalog, planner.subject_of(catalog, model), cluster, wish),)
            show(found[0], as_data)
    if tables.best(found) is None:
        raise typer.Exit(MISFIT)


def tiers(as_data: Json = False) -> None:
    """List the tiers: choices for a class of hardware."""
    with told(as_data):
        known = [read_tier(name) for name in tier_names()]
        listed(known, tables.tiers(known), as_data)


def models(as_data: Json = False) -> None:
    """List the models and the formats of their weights."""
    with told(as_data):
        known = list(load_catalog().models.values())
        listed(known, tables.models(known), as_data)


def gpus(as_data: Json = False) -> None:
    """List the accelerators as a runtime sees them."""
    with told(as_data):
        known = list(load_catalog().accelerators.values())
        listed(known, tables.accelerators(known), as_data)


def _positive(**given: float | None) -> None:
    for name, value in given.items():
        if value is not None and not 0 < value < float("inf"):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(
                f"{flag} must be a number above 0, not {value:g}.", "Left out, it is chosen."
            )


def _cluster(
    catalog: Catalog,
    gpu: str | None,
    nodes: int,
    card: tuple[float | None, float | None],
    platform: str | None,
    look: Look,
) -> Cluster:
    """What --gpu names, `card` its memory and bandwidth if given; else nodes like this machine."""
    if gpu is not None:
        return planner.cluster_of(catalog, gpu, nodes, *card, platform)
    if any(card):
        raise ConfigError(
            "--gpu-mem-gib and --gpu-bandwidth-gbs describe a card named with --gpu.",
            "Name it, such as --gpu generic:2; or leave both out to plan for this machine.",
        )
    return replace(_here(catalog, platform, look), nodes=nodes)


def _surveyed(catalog: Catalog, cluster: Cluster, wish: Wish) -> tuple[Plan, ...]:
    """Every model; first what a tier would take here, so that `serve --tier` and this agree."""
    found = planner.survey(catalog, cluster, wish)
    names = ("cpu",) if cluster.platform.id == "cpu" else ("flagship", "enterprise", "consumer")
    top = best(catalog, map(read_tier, names), cluster, wish)
    if top is None:
        return found
    rest = (one for one in found if one.subject.name != top.plan.subject.name)
    return (top.plan, *rest)


def _here(catalog: Catalog, platform: str | None, look: Look) -> Cluster:
    """This machine. Its tools may take ten seconds each when they hang, so say what is going on."""
    errors = Console(stderr=True)
    with errors.status("Looking at this machine"):
        machine = look()
    for note in machine.notes:
        errors.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)
    return planner.cluster_here(catalog, machine, platform)

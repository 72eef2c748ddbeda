"""Why a plan is what it is, and what would do better: sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from seekserve.errors import Impossible
from seekserve.plan.catalog import Catalog
from seekserve.plan.facts import Kernels
from seekserve.plan.fitting import Fit
from seekserve.plan.memory import GIB
from seekserve.plan.version import sequences
from seekserve.plan.wish import Cluster, Plan, Subject, Wish

Planner = Callable[[Catalog, Subject, Cluster, Wish], Plan]
SHORTER = (131072, 65536, 32768, 16384, 8192, 4096)
MOST_NEARBY = 4


def reasons(answer: Plan, best: Fit, kernels: Kernels) -> tuple[str, ...]:
    """The sum of a misfit first; then every choice that was not the plain one."""
    return tuple(filter(None, _reasons(answer, best, kernels)))


def _reasons(answer: Plan, best: Fit, kernels: Kernels) -> Iterator[str]:
    whole = best.cache.request(best.full_length, best.in_flight)
    budget = answer.utilization * answer.cluster.memory_gib
    spent = (answer.weights_bytes + best.overhead.total) / GIB
    if answer.verdict != "fits":
        yield (
            f"{answer.weights_bytes / GIB:.1f} GiB of weights + {best.overhead.total / GIB:.1f} overhead + "
            f"{best.request / GIB:.1f} for one request of {best.length:,} tokens = "
            f"{spent + best.request / GIB:.1f} GiB, of {budget:.1f} that may be used on each device."
        )
    if answer.verdict == "tight":
        yield (
            f"The line is within the {best.overhead.give_or_take / GIB:.1f} GiB that cannot be known "
            "beforehand, or within a tenth of it: it may start, or refuse to."
        )
    if best.reduced and answer.verdict == "fits":
        yield (
            f"The context is {best.length:,} tokens of the model's {best.full_length:,}: one request of "
            f"the whole length would take {whole / GIB:.1f} GiB of KV cache, and there are "
            f"{best.available / GIB:.1f}."
        )
    yield from _choices(answer, kernels)


def _choices(answer: Plan, kernels: Kernels) -> Iterator[str]:
    arch = answer.cluster.accelerator.arch
    if answer.weights == "fp8" and kernels.fp8_weights == "marlin":
        yield f"{arch} has no FP8 arithmetic: weights stay FP8 in memory and are unpacked to 16 bits."
    shape, layout = answer.subject.shape, answer.layout
    if shape.latent and not shape.compressed and layout.tp > 1 and layout.pp == layout.dp == 1:
        yield "MLA's cache is whole on every TP rank: more TP does not hold more context."
    if shape.latent and layout.pp > 1:
        yield f"{layout.pp} stages split the layers and with them the cache; TP stays inside a node."
    usual = sequences(answer.version, answer.cluster.memory_gib, answer.cluster.accelerator.name)
    if answer.max_num_seqs < usual:
        yield f"At most {answer.max_num_seqs} sequences at once: graphs for fewer leave more to the cache."
    if arch == "gfx942" and shape.compressed:
        yield "V4 on this silicon is experimental: vLLM's code takes it, its recipes do not list it."
    if answer.drafting:
        yield "The checkpoint's own drafter is used: several tokens a step, at the cost of its weights."
    if answer.subject.host_gib:
        yield f"{answer.subject.host_gib:.0f} GiB of lookup tables are pinned in host memory, on every node."
    if answer.kv_cache_dtype == "nvfp4_ds_mla" and not arch.startswith("sm10"):
        yield f"vLLM's own kernels for nvfp4_ds_mla are Blackwell data-centre ones; {arch} needs a fork."


def advice(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> tuple[str, ...]:
    """For what does not fit: the nearest that does. For what does: what would give more."""
    if answer.verdict == "does_not_fit":
        return tuple(_nearest(catalog, answer, wish, plan))[:MOST_NEARBY]
    return tuple(_better(answer))


def _better(answer: Plan) -> Iterator[str]:
    shape, layout = answer.subject.shape, answer.layout
    if shape.latent and shape.experts and layout.tp >= 8 and layout.dp == 1:
        yield (
            "For throughput rather than latency: --tp 1 --dp "
            f"{answer.cluster.gpus} --ep keeps one cache per device instead of copies."
        )
    if answer.verdict == "tight":
        yield "A shorter --max-model-len, fewer --max-num-seqs or --enforce-eager make it sure."
    if answer.cluster.nodes > 1:
        yield "Set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME on each node to the fast network's interface."


def _nearest(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    yield from _other_weights(catalog, answer, wish, plan)
    yield from _fp8_cache(catalog, answer, wish, plan)
    yield from _fewer(catalog, answer, wish, plan)
    yield from _shorter(catalog, answer, wish, plan)
    yield from _more_cards(catalog, answer, wish, plan)
    yield from _smaller(catalog, answer, wish, plan)


def _fits(
    catalog: Catalog, subject: Subject, cluster: Cluster, wish: Wish, plan: Planner
) -> Plan | None:
    try:
        found = plan(catalog, subject, cluster, wish)
    except Impossible:
        return None
    return found if found.verdict == "fits" else None


def _other_weights(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    if wish.weights is None:
        return
    found = _fits(catalog, answer.subject, answer.cluster, replace(wish, weights=None), plan)
    if found:
        yield f"{answer.subject.name} in {found.weights}: {_summary(found)}."


def _fp8_cache(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    if wish.kv_cache_dtype or answer.kv_cache_dtype != "auto":
        return
    found = _fits(
        catalog, answer.subject, answer.cluster, replace(wish, kv_cache_dtype="fp8"), plan
    )
    if found:
        yield f"--kv-cache-dtype fp8, half the cache at some cost of quality: {_summary(found)}."


def _fewer(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    for count in (64, 16):
        if count < answer.max_num_seqs and not wish.max_num_seqs:
            fewer = replace(wish, max_num_seqs=count)
            if _fits(catalog, answer.subject, answer.cluster, fewer, plan):
                yield f"--max-num-seqs {count}: graphs for fewer sequences leave more to the cache."
                return


def _shorter(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    for length in SHORTER:
        if length < answer.max_model_len and wish.max_model_len:
            shorter = replace(wish, max_model_len=length)
            if _fits(catalog, answer.subject, answer.cluster, shorter, plan):
                yield f"--max-model-len {length} with the same weights and devices."
                return


def _more_cards(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    free = replace(wish, tp=None, pp=None, dp=None)
    cluster = answer.cluster
    for factor in (2, 4, 8):
        count = cluster.per_node * factor
        if count > max(8, cluster.accelerator.per_node):
            break
        if found := _fits(catalog, answer.subject, replace(cluster, per_node=count), free, plan):
            yield f"{count} x {cluster.accelerator.name} in a node: {_summary(found)}."
            return
    for nodes in (2, 4):
        wide = replace(cluster, per_node=max(cluster.per_node, 8), nodes=cluster.nodes * nodes)
        if found := _fits(catalog, answer.subject, wide, free, plan):
            yield f"{wide.words}: {_summary(found)}."
            return


def _smaller(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> Iterator[str]:
    free = replace(wish, weights=None, tp=None, pp=None, dp=None, kv_cache_dtype=None)
    own = catalog.models.get(answer.subject.name)
    most = own.params_b if own else float("inf")
    smaller = [m for m in catalog.models.values() if m.kind == "chat" and m.params_b < most]
    for model in sorted(smaller, key=lambda m: -m.params_b):
        subject = replace(answer.subject, name=model.id, family=catalog.families[model.family])
        found = _fits(catalog, subject, answer.cluster, free, plan)
        if found and found.max_model_len >= min(8192, wish.max_model_len or 8192):
            yield f"{model.id} in {found.weights}: {_summary(found)}."
            return


def _summary(found: Plan) -> str:
    layout = found.layout
    words = [f"TP {layout.tp}"] if layout.tp > 1 else []
    words += [f"PP {layout.pp}"] if layout.pp > 1 else []
    words += [f"DP {layout.dp}"] if layout.dp > 1 else []
    where = f", {' x '.join(words)}" if words else ""
    return f"{found.max_model_len:,} tokens of context{where}"

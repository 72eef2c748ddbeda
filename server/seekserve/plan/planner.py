"""The decision: which format, layout and length of a model this hardware gets. Pure.

Choices that were not made for it are tried from the best to the least: weights as published before
quantised ones, with the drafter before without it, as many sequences as the engine takes by default
before fewer. The first that reaches a comfortable context wins, else the one that reaches furthest. An
FP8 KV cache is never chosen unasked: it costs quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from seekserve.errors import Impossible
from seekserve.plan import allowed
from seekserve.plan.advice import advice
from seekserve.plan.catalog import Catalog
from seekserve.plan.commands import node_commands
from seekserve.plan.facts import Kernels
from seekserve.plan.fitting import COMFORTABLE_LEN, USABLE_LEN, Fit, fit
from seekserve.plan.formats import FORMATS, Format, read_format
from seekserve.plan.layout import Layout
from seekserve.plan.memory import Verdict
from seekserve.plan.placing import layouts
from seekserve.plan.reasons import published, reasons
from seekserve.plan.speed import bounds
from seekserve.plan.subjects import cluster_here, cluster_of, of_catalog, subject_of
from seekserve.plan.version import Version, read_version
from seekserve.plan.wish import Cluster, Plan, Speed, Subject, Wish

__all__ = ["cluster_here", "cluster_of", "plan", "subject_of", "survey"]

FIDELITY = (
    "bf16", "fp16", "fp4fp8", "fp8", "mxfp8", "w8a8-ascend", "int8", "nvfp4", "w4a8-ascend", "mxfp4",
    "int4", "gptq", "awq", "bnb",
)  # fmt: skip
RANK: dict[Verdict, int] = {"fits": 2, "tight": 1, "does_not_fit": 0}


def plan(catalog: Catalog, subject: Subject, cluster: Cluster, wish: Wish) -> Plan:
    """The best that can be had, with commands and advice. Raises Impossible for what cannot be asked."""
    answer = decide(catalog, subject, cluster, wish)
    tips = advice(catalog, answer, wish, decide)
    if answer.verdict == "does_not_fit" or not published(answer):
        return replace(answer, advice=tips)
    commands = node_commands(answer, catalog, ray=wish.executor == "ray")
    return replace(answer, advice=tips, commands=commands)


def decide(catalog: Catalog, subject: Subject, cluster: Cluster, wish: Wish) -> Plan:
    """`plan` without commands, and without advice, which asks for its neighbours."""
    if subject.family and subject.name in catalog.models:
        model = catalog.models[subject.name]
        subject = of_catalog(catalog, model, cluster.platform.id, subject.only)
    cluster = _by_die(cluster, wish)
    kernels = catalog.kernels(cluster.accelerator.arch)
    version = _version(cluster, wish)
    why = allowed.refused(subject, cluster, kernels, version) or allowed.too_long(subject, wish)
    if why:
        return _refusal(subject, cluster, wish, version, why)
    found = list(_candidates(subject, cluster, wish, kernels, version))
    if not found:
        why = _nothing(subject, cluster, wish, kernels)
        return _refusal(subject, cluster, wish, version, why)
    return _told(subject, cluster, wish, version, kernels, _best(found, wish.enough))


def _by_die(cluster: Cluster, wish: Wish) -> Cluster:
    """Cards of two dies are two devices each: ranks asked for that count dies mean cards were counted."""
    ranks = (wish.tp or 1) * (wish.pp or 1) * (wish.dp or 1)
    dies = cluster.accelerator.dies
    if dies > 1 and ranks == cluster.gpus * dies:
        return replace(cluster, per_node=cluster.per_node * dies)
    return cluster


def survey(catalog: Catalog, cluster: Cluster, wish: Wish) -> tuple[Plan, ...]:
    """Every chat and code model on this hardware, the best first."""
    plans = [
        _surveyed(catalog, of_catalog(catalog, model, cluster.platform.id), cluster, wish)
        for model in catalog.models.values()
        if model.kind != "base"
    ]
    return tuple(sorted(plans, key=lambda p: _worth(catalog, p), reverse=True))


def _surveyed(catalog: Catalog, subject: Subject, cluster: Cluster, wish: Wish) -> Plan:
    """What one model cannot be asked for is a reason of its own, not the end of the survey."""
    try:
        return decide(catalog, subject, cluster, wish)
    except Impossible as error:
        return _refusal(subject, cluster, wish, _version(cluster, wish), error.message)


def _worth(catalog: Catalog, one: Plan) -> tuple[int, bool, bool, bool, float, int]:
    """Fits first, then a usable context, then models that reason, then text alone (nothing here passes
    pictures on), then the larger and newer ones.
    """
    model = catalog.models[one.subject.name]
    usable = one.max_model_len >= USABLE_LEN and one.verdict == "fits"
    reasons = catalog.families[model.family].thinking != "never"
    newest = model.released.toordinal()
    return RANK[one.verdict], usable, reasons, not model.sees, model.params_b, newest


def _version(cluster: Cluster, wish: Wish) -> Version:
    return wish.version or read_version(cluster.platform.vllm or "0.33")


def _candidates(
    subject: Subject, cluster: Cluster, wish: Wish, kernels: Kernels, version: Version
) -> Iterator[Fit]:
    for form in _formats(subject, wish, kernels, cluster):
        for dtype in _kv_dtypes(subject, wish, kernels, cluster):
            for layout in layouts(subject, cluster, wish, form):
                for drafting in _drafting(subject, wish):
                    for asked in _batches(subject, wish):
                        yield fit(subject, cluster, asked, form, layout, dtype, version, drafting)


def _batches(subject: Subject, wish: Wish) -> list[Wish]:
    """The engine's default of sequences; where no length is fixed also fewer: their graphs are smaller."""
    if wish.max_num_seqs or wish.max_model_len:
        return [wish]
    fewer = (64, 16) if subject.shape.attention == "csa" else (64,)
    return [wish, *(replace(wish, max_num_seqs=count) for count in fewer)]


def _formats(subject: Subject, wish: Wish, kernels: Kernels, cluster: Cluster) -> list[Format]:
    if wish.weights:
        asked = subject.formats.get(wish.weights) or read_format(wish.weights)
        why = allowed.unfit_format(asked, kernels, cluster)
        if asked.name.endswith("-ascend") and cluster.platform.id != "ascend":
            why = f"{asked.name} checkpoints are for Ascend alone."
        if why:
            raise Impossible(why, "Leave --weights out to see what can run there.")
        return [asked]
    if subject.platform_weights in subject.formats:
        return [subject.formats[subject.platform_weights or ""]]
    there = [f for f in subject.formats.values() if not allowed.unfit_format(f, kernels, cluster)]
    there.sort(key=lambda form: _preference(form, kernels))
    return there


def _preference(form: Format, kernels: Kernels) -> tuple[bool, int]:
    """Faithful formats first; FP4 only where it is computed in, or after all the others."""
    foreign = form.rate == "fp4" and getattr(kernels, form.kernel) != "native"
    return foreign, FIDELITY.index(form.name)


def _kv_dtypes(subject: Subject, wish: Wish, kernels: Kernels, cluster: Cluster) -> list[str]:
    if wish.kv_cache_dtype:
        asked = "bfloat16" if wish.kv_cache_dtype == "bf16" else wish.kv_cache_dtype
        if why := allowed.unfit_kv(subject.shape, asked, kernels, cluster):
            raise Impossible(why, "Leave --kv-cache-dtype at auto there.")
        return [asked]
    if subject.shape.attention == "csa":
        return ["fp8"]
    known = tuple("auto" if d == "bfloat16" else d for d in subject.platform_kv) or ("auto",)
    return [d for d in known if not allowed.unfit_kv(subject.shape, d, kernels, cluster)]


def _drafting(subject: Subject, wish: Wish) -> list[bool]:
    """A drafter that was trained with the model is used where there is room; MTP where asked for."""
    said = subject.speculative
    if said is None or wish.speculate is False:
        return [False]
    if wish.speculate:
        return [True]
    return [True, False] if said.get("method") == "dspark" else [False]


def _best(found: list[Fit], wanted: int | None) -> Fit:
    """The first that fits as wanted, else comfortably, else usably; else what reaches furthest."""
    for enough in (*filter(None, [wanted]), COMFORTABLE_LEN, USABLE_LEN):
        for one in found:
            if one.verdict == "fits" and one.length >= min(enough, one.full_length):
                return one
    return max(found, key=lambda one: (RANK[one.verdict], one.length, one.available))


def _told(
    subject: Subject,
    cluster: Cluster,
    wish: Wish,
    version: Version,
    kernels: Kernels,
    best: Fit,
) -> Plan:
    native = not best.form.kernel or getattr(kernels, best.form.kernel) == "native"
    speed = bounds(
        subject.shape, best.form, best.layout, cluster, best.kv_dtype,
        best.available, best.step.sequences, wish.price_per_hour, native,
    )  # fmt: skip
    answer = Plan(
        verdict=best.verdict,
        subject=subject,
        cluster=cluster,
        weights=best.form.name,
        kv_cache_dtype=best.kv_dtype,
        layout=best.layout,
        utilization=best.utilization,
        weights_bytes=best.weights,
        overhead=best.overhead,
        kv_bytes=best.available,
        kv_bytes_per_token=best.cache.per_token or best.cache.per_flight,
        request_bytes=best.request,
        max_model_len=best.length,
        max_num_seqs=best.step.sequences,
        max_num_batched_tokens=best.step.tokens,
        enforce_eager=wish.enforce_eager,
        drafting=best.drafting,
        version=version,
        speed=speed,
    )
    return replace(answer, reasons=reasons(answer, best, kernels))


def _refusal(subject: Subject, cluster: Cluster, wish: Wish, version: Version, why: str) -> Plan:
    """Nothing was planned: of the choices it has those alone that were asked for."""
    return Plan(
        verdict="does_not_fit", subject=subject, cluster=cluster, weights=wish.weights or "",
        kv_cache_dtype=wish.kv_cache_dtype or "", layout=Layout(),
        utilization=wish.utilization or cluster.platform.utilization,
        weights_bytes=0, overhead=None, kv_bytes=0, kv_bytes_per_token=0, request_bytes=0,
        max_model_len=wish.max_model_len or 0, max_num_seqs=0,
        max_num_batched_tokens=0, enforce_eager=wish.enforce_eager, drafting=False,
        version=version, speed=Speed(), reasons=(why,),
    )  # fmt: skip


def _nothing(subject: Subject, cluster: Cluster, wish: Wish, kernels: Kernels) -> str:
    """Why there is not one candidate."""
    formats = [FORMATS[name] for name in subject.formats if name in FORMATS]
    told = [allowed.unfit_format(form, kernels, cluster) for form in formats]
    if formats and all(told):
        return told[0]
    form = formats[0] if formats else FORMATS["bf16"]
    tp = wish.tp or cluster.per_node
    why = allowed.indivisible(
        subject.shape, form, Layout(tp, wish.pp or 1, wish.dp or 1, dcp=wish.dcp or 1)
    )
    return why or f"No checkpoint of {subject.name} is known for {cluster.platform.name}."

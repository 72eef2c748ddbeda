"""A tier is a ladder of models: which rung this hardware reaches, and why not a higher one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from seekserve.errors import Impossible
from seekserve.plan.catalog import Catalog
from seekserve.plan.planner import decide, plan
from seekserve.plan.subjects import subject_of
from seekserve.plan.wish import Cluster, Plan, Wish
from seekserve.settings import Prefer, Rung, Tier


@dataclass(frozen=True)
class Climb:
    """The rung taken, planned; and of every other rung, in order, why it was not."""

    rung: Rung
    plan: Plan
    others: tuple[str, ...]


def climb(
    catalog: Catalog, tier: Tier, cluster: Cluster, wish: Wish, prefer: Prefer | None = None
) -> Climb:
    """The rung for this hardware. Raises Impossible, with every rung's reason, when none fits."""
    prefer = prefer or tier.prefer
    tried = [(rung, _try(catalog, rung, cluster, wish)) for rung in tier.ladder]
    fit = [(rung, found) for rung, found in tried if isinstance(found, Plan)]
    if not fit:
        why = "\n".join(f"  {told}" for _, told in tried if isinstance(told, str))
        raise Impossible(
            f"Nothing of the tier {tier.tier} fits {cluster.words}:\n{why}",
            "seekserve plan shows what else fits; seekserve tiers the other tiers.",
        )
    rung, _ = _chosen(fit, prefer, tier.floor_tokens_per_s)
    found = plan(catalog, subject_of(catalog, rung.model), cluster, _wish(rung, wish))
    if prefer == "speed" and len(fit) > 1:
        found = replace(found, reasons=(*found.reasons, _fastest(found, tier.floor_tokens_per_s)))
    return Climb(rung, found, tuple(_others(tried, rung, prefer, tier)))


def best(catalog: Catalog, tiers: Iterable[Tier], cluster: Cluster, wish: Wish) -> Climb | None:
    """The rung of the first of these tiers that has one for this hardware."""
    for tier in tiers:
        try:
            return climb(catalog, tier, cluster, wish)
        except Impossible:
            continue
    return None


def _try(catalog: Catalog, rung: Rung, cluster: Cluster, wish: Wish) -> Plan | str:
    """The rung's plan, or the sentence why it is out."""
    name = _name(rung)
    if rung.platforms and cluster.platform.id not in rung.platforms:
        return f"{name}: not meant for {cluster.platform.name}."
    if any(fnmatch(cluster.accelerator.arch, pattern) for pattern in rung.not_arch):
        return f"{name}: not meant for {cluster.accelerator.arch}."
    try:
        found = decide(catalog, subject_of(catalog, rung.model), cluster, _wish(rung, wish))
    except Impossible as error:
        return f"{name}: {error.message}"
    if found.verdict != "fits":
        close = "too close to call: " if found.verdict == "tight" else ""
        return f"{name}: {close}{found.reasons[0]}"
    if found.max_model_len < rung.context:
        return (
            f"{name}: {found.max_model_len:,} tokens of context at the most; "
            f"this rung wants {rung.context:,}."
        )
    return found


def _wish(rung: Rung, wish: Wish) -> Wish:
    """What the command line says wins over what the rung says."""
    return replace(
        wish,
        enough=rung.context,
        weights=wish.weights or rung.weights,
        kv_cache_dtype=wish.kv_cache_dtype or rung.kv_cache_dtype,
        max_num_seqs=wish.max_num_seqs or rung.max_num_seqs,
        speculate=rung.speculate if wish.speculate is None else wish.speculate,
        enforce_eager=wish.enforce_eager or rung.enforce_eager,
    )


def _chosen(fit: list[tuple[Rung, Plan]], prefer: Prefer, floor: float) -> tuple[Rung, Plan]:
    if prefer == "light":
        return fit[-1]
    if prefer == "speed":
        fast = [pair for pair in fit if _bound(pair[1]) >= floor]
        return max(fast or fit, key=lambda pair: _bound(pair[1]))
    return fit[0]


def _fastest(found: Plan, floor: float) -> str:
    """What the choice by speed stood on, and what it left out."""
    slow = f", though all are below the tier's {floor:g}" if _bound(found) < floor else ""
    drafts = "; its drafter may change that order" if found.drafting else ""
    return (
        f"Taken for speed: of the rungs that fit its bound for a single stream is the highest, "
        f"{_bound(found):.0f} tokens/s{slow}. Bounds are without speculation{drafts}."
    )


def _bound(found: Plan) -> float:
    return found.speed.decode_batch1 or 0.0


def _others(
    tried: list[tuple[Rung, Plan | str]], taken: Rung, prefer: Prefer, tier: Tier
) -> Iterator[str]:
    for rung, found in tried:
        if rung is taken:
            if prefer == "quality":
                return
        elif isinstance(found, str):
            yield found
        elif prefer == "speed":
            drafts = ", but drafts tokens" if found.drafting else ""
            bound = f"{_bound(found):.0f} tokens/s at the most"
            yield f"{_name(rung)}: fits, at {bound} without speculation{drafts}."
        elif prefer == "light":
            yield f"{_name(rung)}: fits, and is heavier."


def _name(rung: Rung) -> str:
    return f"{rung.model}{f' in {rung.weights}' if rung.weights else ''}"

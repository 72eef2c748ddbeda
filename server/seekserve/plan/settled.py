"""A tier once its model is chosen: what follows from the plan where the tier's file does not say it. Pure."""

from __future__ import annotations

from seekserve.plan.wish import Plan
from seekserve.settings import Defaults, Tier


def settled(tier: Tier, plan: Plan, names: tuple[str, ...]) -> Tier:
    """The tier with the plan's model, served as `names`, in it."""
    engine = tier.engine.model_copy(update={"model": plan.subject.name, "served_as": names})
    running = min(tier.limits.running, plan.max_num_seqs * plan.layout.dp)
    limits = tier.limits.model_copy(update={"running": running})
    changed = {"engine": engine, "limits": limits, "defaults": _defaults(tier, plan)}
    return tier.model_copy(update=changed)


def _defaults(tier: Tier, plan: Plan) -> Defaults:
    family = plan.subject.family
    if family is None:
        return tier.defaults
    own = {"temperature": family.temperature, "top_p": family.top_p}
    said = tier.defaults.model_fields_set
    return tier.defaults.model_copy(update={k: v for k, v in own.items() if k not in said})

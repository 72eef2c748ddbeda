"""What an engine was planned to be, device by device, and what else would fit this machine.

Made once for a configuration, in a thread: a survey of the catalog takes half a second. Engines of our own
hold the memory meanwhile, so what would fit is reckoned as if they did not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from seekserve.config import Config
from seekserve.console import written
from seekserve.console.aside import begun
from seekserve.engine.engine import Snapshot
from seekserve.errors import StartError, Stopping
from seekserve.plan import planner
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.detect import Machine
from seekserve.plan.memory import GIB
from seekserve.plan.report import layout_words, paste, sized
from seekserve.plan.wish import Cluster, Plan, Wish

Look = Callable[[], Machine]
Page = dict[str, Any]

ATTACHED = "It was started by somebody else: what it was planned to be is not known here."
NOTHING: Page = {
    "devices": [], "layout": "", "context": None, "concurrency": None, "kv_cache_dtype": None,
    "weights": None, "verdict": None, "command": None, "reasons": [], "advice": [], "note": "",
}  # fmt: skip


class Plans:
    """`look` sees which devices there are. `plan` says what was chosen for the configuration in force."""

    def __init__(self, look: Look, plan: Callable[[], Plan | None]) -> None:
        self._look, self._plan = look, plan
        self._made: asyncio.Future[Page] | None = None

    def forget(self) -> None:
        """Another configuration is in force."""
        self._made = None

    def end(self) -> None:
        """The server stops: nobody waits for it any more."""
        if self._made:
            self._made.cancel()

    async def told(self, config: Config, snapshots: list[Snapshot]) -> Page:
        """Raises Stopping."""
        if self._made is None or (self._made.done() and self._failed):
            self._made = begun(partial(page, config, self._plan(), self._look))
        making = self._made
        await asyncio.wait([making])
        if making.cancelled():
            raise Stopping("The server is stopping: nothing more is told.", retry_after_s=10)
        made = making.result()
        engines = [
            {"name": one.name, "planned": dict(one.planned), "actual": dict(one.actual)}
            | made["each"]
            for one in snapshots
        ]
        return {"engines": engines, "machine": made["machine"], "fits": made["fits"]}

    @property
    def _failed(self) -> bool:
        made = self._made
        return made is not None and not made.cancelled() and made.exception() is not None


def page(config: Config, chosen: Plan | None, look: Look) -> Page:
    """`each` is what every engine has: they are alike. `fits` is None where the machine is not known."""
    if config.attach:
        return {"each": {**NOTHING, "note": ATTACHED}, "machine": None, "fits": None}
    catalog = load_catalog()
    cluster = chosen.cluster if chosen else _here(catalog, look)
    each = of_plan(chosen) if chosen else NOTHING | written.of_tier(config, cluster)
    return {
        "each": each,
        "machine": cluster.words if cluster else None,
        "fits": fits(catalog, cluster) if cluster else None,
    }


def _here(catalog: Catalog, look: Look) -> Cluster | None:
    try:
        return planner.cluster_here(catalog, look())
    except StartError:
        return None


def of_plan(plan: Plan) -> Page:
    known = sized(plan)
    return {
        "devices": _devices(plan) if known else [],
        "layout": layout_words(plan) if known else "",
        "context": plan.max_model_len or None,
        "concurrency": round(plan.max_concurrency, 2) if known else None,
        "kv_cache_dtype": plan.kv_cache_dtype,
        "weights": plan.weights,
        "verdict": plan.verdict,
        "command": "\n\n".join(paste(one) for one in plan.commands) or None,
        "reasons": list(plan.reasons),
        "advice": list(plan.advice),
        "note": "",
    }


def _devices(plan: Plan) -> list[Page]:
    """Each as full as the fullest: the others differ by less than anybody could see."""
    cluster, used = plan.cluster, plan.layout.gpus
    over = plan.overhead.total if plan.overhead else 0.0
    parts = [max(0.0, part) / GIB for part in (plan.weights_bytes, over, plan.kv_bytes)]
    return [
        device(
            f"{cluster.accelerator.name} {number}",
            cluster.memory_gib,
            parts if number < used else [],
        )
        for number in range(cluster.gpus)
    ]


def device(name: str, total: float, parts: list[float]) -> Page:
    """Nothing is on one that the layout leaves out."""
    weights, overhead, cache = (round(part, 2) for part in parts or (0.0, 0.0, 0.0))
    free = round(max(0.0, total - weights - overhead - cache), 2)
    sizes = {"weights_gib": weights, "overhead_gib": overhead, "kv_cache_gib": cache}
    return {"name": name, "total_gib": round(total, 2)} | sizes | {"free_gib": free}


def fits(catalog: Catalog, cluster: Cluster) -> list[Page]:
    """Every model of the catalog, the best first."""
    found = planner.survey(catalog, replace(cluster, free_share=1.0), Wish())
    return [
        {
            "model": one.subject.name,
            "weights": one.weights or None,
            "verdict": one.verdict,
            "context": one.max_model_len or None,
            "concurrency": round(one.max_concurrency, 2) if sized(one) else None,
            "tokens_per_s": one.speed.decode_batch1 and round(one.speed.decode_batch1, 1),
            "why": one.reasons[0] if one.reasons else "",
            "command": f"seekserve plan --model {one.subject.name}",
        }
        for one in found
    ]

"""What would do better: every tip was planned before it is given. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from seekserve.errors import Impossible
from seekserve.plan.catalog import Catalog
from seekserve.plan.facts import CatalogModel
from seekserve.plan.wish import Cluster, Plan, Subject, Wish

Planner = Callable[[Catalog, Subject, Cluster, Wish], Plan]
SHORTER = (131072, 65536, 32768, 16384, 8192, 4096)
LEAST_ADVISED_LEN = 8192  # tokens of context that another model must reach to be named
MOST_NEARBY = 4


def advice(catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> tuple[str, ...]:
    """For what does not fit: the nearest that does. For what does: what would give more.

    `plan` is the planner without advice of its own: one misfit does not ask for its neighbours'.
    """
    tips = _Tips(catalog, answer, wish, plan)
    if answer.verdict == "does_not_fit":
        return tuple(tips.nearest())[:MOST_NEARBY]
    return tuple(tips.better())


class _Tips:
    """The neighbours of one answer."""

    def __init__(self, catalog: Catalog, answer: Plan, wish: Wish, plan: Planner) -> None:
        self._catalog, self._answer, self._wish, self._plan = catalog, answer, wish, plan
        self._cluster = answer.cluster

    def _try(
        self, wish: Wish, subject: Subject | None = None, cluster: Cluster | None = None
    ) -> Plan | None:
        """The plan of a neighbour, where it surely fits."""
        try:
            found = self._plan(
                self._catalog, subject or self._answer.subject, cluster or self._cluster, wish
            )
        except Impossible:
            return None
        return found if found.verdict == "fits" else None

    def better(self) -> Iterator[str]:
        if self._answer.verdict == "tight":
            yield from self._surer()
        yield from self._throughput()
        if self._answer.layout.nodes > 1:
            yield (
                "On each node set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME to the fast network's "
                "interface; MASTER_ADDR in the commands stands for node 0's address on it."
            )

    def _surer(self) -> Iterator[str]:
        """What makes a tight plan sure."""
        tips = [*self._fewer(), *self._shorter()]
        if self._try(replace(self._wish, enforce_eager=True)):
            tips.append("--enforce-eager: no CUDA graphs, slower decoding.")
        yield from (f"Sure with {tip}" for tip in tips[:3])

    def _throughput(self) -> Iterator[str]:
        shape, layout = self._answer.subject.shape, self._answer.layout
        if not (shape.latent and shape.experts and layout.tp >= 8 and layout.dp == 1):
            return
        wide = replace(self._wish, tp=1, pp=None, dp=self._cluster.gpus, ep=True)
        if self._try(wide):
            yield (
                f"For throughput rather than latency: --tp 1 --dp {self._cluster.gpus} --ep keeps one "
                "cache per device instead of copies."
            )

    def nearest(self) -> Iterator[str]:
        yield from self._other_layout()
        yield from self._other_weights()
        yield from self._fp8_cache()
        yield from self._fewer()
        yield from self._shorter()
        yield from self._more_cards()
        yield from self._other_model()

    def _other_layout(self) -> Iterator[str]:
        wish = self._wish
        if wish.tp is None and wish.pp is None and wish.dp is None:
            return
        if found := self._try(_free(wish)):
            yield f"Another layout: {_summary(found)}."

    def _other_weights(self) -> Iterator[str]:
        if self._wish.weights is None:
            return
        if found := self._try(replace(_free(self._wish), weights=None)):
            yield f"{self._answer.subject.name} in {found.weights}: {_summary(found)}."

    def _fp8_cache(self) -> Iterator[str]:
        if self._wish.kv_cache_dtype or self._answer.kv_cache_dtype not in ("auto", ""):
            return
        if found := self._try(replace(self._wish, kv_cache_dtype="fp8")):
            yield f"--kv-cache-dtype fp8, half the cache at some cost of quality: {_summary(found)}."

    def _fewer(self) -> Iterator[str]:
        counts = () if self._wish.max_num_seqs else (64, 16)
        for count in (c for c in counts if c < self._answer.max_num_seqs):
            if self._try(replace(self._wish, max_num_seqs=count)):
                yield f"--max-num-seqs {count}: graphs for fewer sequences leave more to the cache."
                return

    def _shorter(self) -> Iterator[str]:
        asked = self._wish.max_model_len or 0
        for length in (length for length in SHORTER if length < asked):
            if self._try(replace(self._wish, max_model_len=length)):
                yield f"--max-model-len {length} with the same weights and devices."
                return

    def _more_cards(self) -> Iterator[str]:
        cluster, wish = self._cluster, _free(self._wish)
        for factor in (2, 4, 8):
            count = cluster.per_node * factor
            if count > max(8, cluster.accelerator.per_node):
                break
            if found := self._try(wish, cluster=replace(cluster, per_node=count)):
                yield f"{count} x {cluster.accelerator.name} in a node: {_summary(found)}."
                return
        for nodes in (2, 4):
            wide = replace(cluster, per_node=max(cluster.per_node, 8), nodes=cluster.nodes * nodes)
            if found := self._try(wish, cluster=wide):
                yield f"{wide.words}: {_summary(found)}."
                return

    def _other_model(self) -> Iterator[str]:
        """The most capable other model that fits here with a context of some use."""
        wish = replace(_free(self._wish), weights=None, kv_cache_dtype=None)
        for model in self._others():
            least = min(LEAST_ADVISED_LEN, self._wish.max_model_len or LEAST_ADVISED_LEN)
            named = replace(
                self._answer.subject,
                name=model.id,
                only="",
                family=self._catalog.families[model.family],
            )
            found = self._try(wish, subject=named)
            if found and found.max_model_len >= least:
                yield f"{model.id} in {found.weights}: {_summary(found)}."
                return

    def _others(self) -> list[CatalogModel]:
        """No larger than the one asked for; those that reason first, then by size and date."""
        own = self._catalog.models.get(self._answer.subject.name)
        most = own.params_b if own else float("inf")
        families = self._catalog.families

        def worth(model: CatalogModel) -> tuple[bool, float, int]:
            thinks = families[model.family].thinking != "never"
            return thinks, model.params_b, model.released.toordinal()

        others = [
            m
            for m in self._catalog.models.values()
            if m.kind == "chat" and not m.sees and m.params_b <= most and m is not own
        ]
        return sorted(others, key=worth, reverse=True)


def _free(wish: Wish) -> Wish:
    return replace(wish, tp=None, pp=None, dp=None, ep=None, dcp=None)


def _summary(found: Plan) -> str:
    where = f", {found.layout.words}" if found.layout.words else ""
    return f"{found.max_model_len:,} tokens of context{where}"

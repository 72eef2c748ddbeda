"""One candidate, sized: this model in this format on this layout, how much context it holds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from seekserve.errors import Impossible
from seekserve.plan import version as versions
from seekserve.plan.formats import Format
from seekserve.plan.kv import Cache, cache
from seekserve.plan.layout import Layout
from seekserve.plan.memory import (
    GIB,
    SPARE,
    Overhead,
    Step,
    Verdict,
    judge,
    overhead,
)
from seekserve.plan.version import Version
from seekserve.plan.weights import weights_bytes
from seekserve.plan.wish import Cluster, Subject, Wish

LEAST_LEN = 2048  # below it nobody would call a model served
ROUND = 1024


@dataclass(frozen=True)
class Fit:
    """A candidate's memory on the fullest device, bytes; `length` in tokens."""

    form: Format
    layout: Layout
    kv_dtype: str
    drafting: bool
    step: Step
    utilization: float
    weights: float
    overhead: Overhead
    cache: Cache
    available: float
    length: int
    full_length: int
    in_flight: int
    verdict: Verdict

    @property
    def reduced(self) -> bool:
        return self.length < self.full_length

    @property
    def request(self) -> float:
        return self.cache.request(self.length, self.in_flight)


def fit(
    subject: Subject,
    cluster: Cluster,
    wish: Wish,
    form: Format,
    layout: Layout,
    kv_dtype: str,
    version: Version,
    drafting: bool,
) -> Fit:
    """Sizes the candidate. The length is the wish's, else the longest that is sure to fit."""
    full = wish.max_model_len or subject.context
    share = _utilization(cluster, wish, version)
    step = _step(cluster, wish, version, full)
    weights = weights_bytes(subject.shape, form, layout, version, drafting)
    extra = overhead(subject.shape, layout, step, version, cluster.platform.id)
    held = cache(subject.shape, kv_dtype, layout)
    available = share * cluster.memory_gib * GIB - weights - extra.total
    if cluster.platform.id == "cpu":
        available = _of_host(available, step.sequences * held.per_token * full)
    flight = versions.in_flight(version, step.tokens)
    length = full if wish.max_model_len else _longest(held, available, extra, flight, full)
    verdict = judge(available, held.request(length, flight), extra.give_or_take)
    return Fit(
        form, layout, kv_dtype, drafting, step, share, weights, extra, held, available,
        length, full, flight, verdict,
    )  # fmt: skip


def _of_host(available: float, wanted: float) -> float:
    """A CPU's cache is a size of its own, in whole GiB: what all sequences could use, not all there is."""
    return min(available, max(wanted, GIB) + GIB - 1) // GIB * GIB


def _utilization(cluster: Cluster, wish: Wish, version: Version) -> float:
    if wish.utilization:
        return wish.utilization
    usual = versions.utilization(version) if wish.version else cluster.platform.utilization
    # vLLM refuses to start when less is free than its share; a little is taken before it looks.
    return usual if cluster.free_share == 1 else min(usual, round(cluster.free_share - 0.02, 2))


def _step(cluster: Cluster, wish: Wish, version: Version, length: int) -> Step:
    size, name = cluster.memory_gib, cluster.accelerator.name
    sequences = wish.max_num_seqs or versions.sequences(version, size, name)
    if wish.max_num_batched_tokens and wish.max_num_batched_tokens < sequences:
        raise Impossible(
            f"A step of {wish.max_num_batched_tokens:,} tokens cannot hold {sequences:,} sequences.",
            f"Give --max-num-seqs {wish.max_num_batched_tokens} or less, or more batched tokens.",
        )
    tokens = wish.max_num_batched_tokens or versions.batched_tokens(version, size, name, length)
    return Step(tokens, sequences, not wish.enforce_eager)


def _longest(held: Cache, available: float, extra: Overhead, flight: int, full: int) -> int:
    """The longest length whose verdict is fits, in steps of 1,024; LEAST_LEN when there is none."""
    room = min(available / (1 + SPARE), available - extra.give_or_take)
    if held.request(full, flight) <= room:
        return full
    least = min(LEAST_LEN, full)
    if held.request(least, flight) > room:
        return least
    in_both = held.per_token + held.per_flight
    length = int(room / in_both)
    if length > flight:
        length = int((room - held.per_flight * flight) / held.per_token)
    return max(least, length // ROUND * ROUND)

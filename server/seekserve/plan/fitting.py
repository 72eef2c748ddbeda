"""One candidate, sized: this model in this format on this layout, how much context it holds. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from seekserve.plan.shape import Shape
from seekserve.plan.version import WINDOWS_APART, Version
from seekserve.plan.weights import weights_bytes
from seekserve.plan.wish import Cluster, Subject, Wish

LEAST_LEN = 2048  # below it nobody would call a model served
USABLE_LEN = 16384  # tokens of context that a chat can do with
COMFORTABLE_LEN = 32768  # and that one with reasoning wants
ROUND = 1024
# Where vLLM's platform has the hybrid cache (0.32, platforms: support_hybrid_kv_cache); not read in plugins.
HYBRID = ("cuda", "rocm", "xpu", "cpu")
CPU_REQUESTS = 16  # at once on a host processor, whose memory a batch has to read at every step


@dataclass(frozen=True)
class Fit:
    """A candidate's memory on the fullest device, bytes; `length` in tokens.

    `room` is what is left beside weights and overhead, `available` what of it the KV cache takes.
    """

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
    room: float
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
    step = _step(cluster, wish, version, full, layout)
    weights = weights_bytes(subject.shape, form, layout, version, drafting)
    extra = overhead(subject.shape, layout, step, version, cluster.platform.id)
    held = cache(_as_held(subject.shape, cluster, version), kv_dtype, layout)
    room = available = share * cluster.memory_gib * GIB - weights - extra.total
    cpu = cluster.platform.id == "cpu"
    flight = versions.in_flight(version, step.tokens, layout.pp, cpu)
    if cpu:
        available = _of_host(
            room, extra, held, flight, full, min(step.sequences, CPU_REQUESTS), wish
        )
    length = full if wish.max_model_len else _longest(held, available, extra, flight, full)
    verdict = judge(available, held.request(length, flight), extra.give_or_take)
    return Fit(
        form, layout, kv_dtype, drafting, step, share, weights, extra, held, available, room,
        length, full, flight, verdict,
    )  # fmt: skip


def _as_held(shape: Shape, cluster: Cluster, version: Version) -> Shape:
    """As the engine keeps its cache: where windows have none of their own, they are held as the rest."""
    apart = cluster.platform.id in HYBRID and version >= WINDOWS_APART
    return shape if apart else replace(shape, window=None)


def _of_host(
    room: float, extra: Overhead, held: Cache, flight: int, full: int, count: int, wish: Wish
) -> float:
    """A CPU's cache is a size of its own, in whole GiB. It is half of the room, and no more than `count`
    requests can use: the memory is the host's too. One request of a comfortable length may have it all.
    """
    usual = min(full, COMFORTABLE_LEN)
    used = max(count * held.request(usual, flight), _surely(held.request(full, flight), extra))
    least = wish.max_model_len or min(full, max(wish.enough or 0, COMFORTABLE_LEN))
    wanted = max(_surely(held.request(least, flight), extra), min(used, room / 2), GIB)
    return min(room, wanted + GIB - 1) // GIB * GIB


def _surely(request: float, extra: Overhead) -> float:
    """Bytes that hold a request without doubt."""
    return max(request * (1 + SPARE), request + extra.give_or_take)


def _utilization(cluster: Cluster, wish: Wish, version: Version) -> float:
    if wish.utilization:
        return wish.utilization
    usual = versions.utilization(version) if wish.version else cluster.platform.utilization
    # vLLM refuses to start when less is free than its share; a little is taken before it looks.
    return usual if cluster.free_share == 1 else min(usual, round(cluster.free_share - 0.02, 2))


def _step(cluster: Cluster, wish: Wish, version: Version, length: int, layout: Layout) -> Step:
    size, name = cluster.memory_gib, cluster.accelerator.name
    ranks = layout.tp * layout.pp if cluster.platform.id == "cpu" else 0
    sequences = wish.max_num_seqs or versions.sequences(version, size, name, ranks)
    if wish.max_num_batched_tokens and wish.max_num_batched_tokens < sequences:
        raise Impossible(
            f"A step of {wish.max_num_batched_tokens:,} tokens cannot hold {sequences:,} sequences.",
            f"Give --max-num-seqs {wish.max_num_batched_tokens} or less, or more batched tokens.",
        )
    tokens = wish.max_num_batched_tokens or versions.batched_tokens(
        version, size, name, length, ranks
    )
    return Step(tokens, sequences, not wish.enforce_eager)


def _longest(held: Cache, available: float, extra: Overhead, flight: int, full: int) -> int:
    """The longest length whose verdict is fits, in steps of 1,024; LEAST_LEN when there is none."""
    room = min(available / (1 + SPARE), available - extra.give_or_take)
    if held.request(full, flight) <= room:
        return full
    least = min(LEAST_LEN, full)
    if held.request(least, flight) > room:
        return least
    length = int(room / (held.per_token + held.per_flight))
    if length > (kept := held.window + flight):
        length = int((room - held.per_flight * kept) / held.per_token)
    return max(least, length // ROUND * ROUND)

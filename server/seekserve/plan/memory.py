"""What one device's memory goes to: weights, overhead, KV cache; and whether that is enough. Pure.

Overhead is the part nobody publishes: the runtime's context, communication buffers, the activations of
the largest step, the sampler's logits, CUDA graphs. It is modelled as a sum of terms with a reason each;
the constants are fitted to measured start-ups (tests/plan/measured/cases.jsonl) and `give_or_take` is
what is left over. "Tight" exists because that remainder can be the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seekserve.plan.layout import Layout
from seekserve.plan.shape import Shape
from seekserve.plan.version import GRAPHS_COUNTED, Version

GIB = 2**30
MIB = 2**20
Verdict = Literal["fits", "tight", "does_not_fit"]
SPARE = 0.10  # of what a request needs; within it either way is tight
UNSURE = 0.10  # of the overhead

RUNTIME = (
    0.65 * GIB
)  # the device's runtime context, libraries, allocator: 0.5-0.8 in single-card start-ups
COMMUNICATION = (
    0.2 * GIB
)  # each further TP rank: 0.54-0.74 non-torch at TP2, 2.1 at TP8, ~3.5 at TP16
EXPERT_EXCHANGE = 1.0 * GIB  # all-to-all buffers where experts lie over DP ranks
LOGITS = 2 * 4  # float32, and a sorted copy of them
# Graphs of a decoder layer at the full set of capture sizes: 0.79 GiB for 48 layers and 1.59 for 64
# (Qwen2.5 AWQ), 6.48 for V4-Flash's 43 on 8 x A100, some 7 on 2 x GH200. MLA's is not told by any start-up we
# have: taken as GQA's, less what an 8 x H20 start-up of V3.2 shows there was no room for.
GRAPH = {"gqa": 25 * MIB, "mla": 20 * MIB, "dsa": 20 * MIB, "csa": 165 * MIB}
# Since experts and MLA prefill share one workspace, a step takes less: 2 x 8 H800 with 0.8 against
# 8 x H200 with 0.16, both with 32,768 tokens in a step.
SHARED_WORKSPACE, SHARED = (0, 12), 0.7


@dataclass(frozen=True, slots=True)
class Step:
    """The largest step the engine prepares for: prompt tokens and sequences in one batch."""

    tokens: int
    sequences: int
    graphs: bool


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes, by cause. Activations are gone when the sampler runs: the larger of the two counts."""

    context: float
    communication: float
    activations: float
    logits: float
    graphs: float

    @property
    def total(self) -> float:
        peak = max(self.activations, self.logits)
        return self.context + self.communication + peak + self.graphs

    @property
    def give_or_take(self) -> float:
        return UNSURE * self.total


def overhead(shape: Shape, layout: Layout, step: Step, version: Version, platform: str) -> Overhead:
    """Bytes on each device besides weights and KV cache, within the engine's budget."""
    if platform == "cpu":  # its KV cache is a size of its own, not what is left over
        return Overhead(0, 0, step.tokens * _per_token(shape, layout, version), 0, 0)
    counted = step.graphs and version >= GRAPHS_COUNTED
    exchange = EXPERT_EXCHANGE if shape.experts and layout.dp > 1 else 0
    return Overhead(
        context=RUNTIME,
        communication=COMMUNICATION * (layout.tp - 1 + (layout.pp > 1)) + exchange,
        activations=step.tokens * _per_token(shape, layout, version),
        logits=min(step.sequences, step.tokens) * shape.vocab * LOGITS,
        graphs=_graphs(shape, layout, step) if counted else 0,
    )


def _per_token(shape: Shape, layout: Layout, version: Version) -> float:
    """Bytes of activations per batched token at the peak of a layer, 16 bits a value."""
    if shape.experts:
        wide = shape.experts.active * (shape.hidden + 3 * shape.experts.inner / layout.tp)
        wide += 6 * shape.hidden
    else:
        wide = 3 * shape.inner / layout.tp + 4 * shape.hidden
    if shape.latent:
        latent = shape.latent
        width = 2 * latent.nope + latent.rope + 2 * latent.value
        wide += -(-shape.heads // layout.tp) * width
    if shape.compressed:  # the residual stream is kept several times over, in and out
        wide += 2 * shape.compressed.copies * shape.hidden
        wide += -(-shape.heads // layout.tp) * shape.head * 2
    shared = shape.experts and version >= SHARED_WORKSPACE and not shape.compressed
    return 2 * wide * (SHARED if shared else 1)


def _graphs(shape: Shape, layout: Layout, step: Step) -> float:
    """Grows with the number of batch sizes captured: 1, 2, 4, by 8 up to 256, by 16 up to 512."""
    largest = min(512, 2 * step.sequences)
    sizes = 3 + min(largest, 256) // 8 + max(0, largest - 256) // 16
    layers = len(layout.layers_of(shape.layers, 0))
    return GRAPH[shape.attention] * layers * min(1.0, sizes / 51)


def judge(available: float, needed: float, give_or_take: float) -> Verdict:
    """Whether `available` bytes of KV cache hold one request of `needed`."""
    if available >= needed * (1 + SPARE) and available - give_or_take >= needed:
        return "fits"
    if available < needed * (1 - SPARE) and available + give_or_take < needed:
        return "does_not_fit"
    return "tight"

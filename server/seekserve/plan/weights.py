"""Bytes of weights on one device. Pure.

Parameters are counted layer by layer as vLLM 0.32 builds them and split the way its linear layers
are: column- and row-parallel ones by TP, MLA's down-projections and the indexer whole on every rank,
routed experts over all TP x DP ranks, embedding and head by vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from seekserve.plan.formats import Format
from seekserve.plan.layout import Layout
from seekserve.plan.shape import Experts, Shape
from seekserve.plan.version import Version

HALF = 2.0
MLA_UNFOLDED = (0, 8)  # the first vLLM that no longer folds MLA's projections into one another
# V4-Flash loads 0.8 to 2.6 GiB more on each rank than its parameters sum up to, in five start-ups
# (2 x H200, 2 and 4 x GB10); nothing in the model's code explains it. Their median is taken.
V4_UNEXPLAINED = 0.9 * 2**30


@dataclass(frozen=True, slots=True)
class Slice:
    """Parameters of one layer on one rank. `plain` are never quantised (routers, norms, indexer gates).

    `absorbed` are MLA's up-projections: quantised ones are kept a second time in 16 bits for decode
    (mla_attention.py, process_weights_after_loading), others are only viewed.
    """

    linear: float = 0
    experts: float = 0
    plain: float = 0
    absorbed: float = 0

    def __add__(self, other: Slice) -> Slice:
        return Slice(
            self.linear + other.linear,
            self.experts + other.experts,
            self.plain + other.plain,
            self.absorbed + other.absorbed,
        )


def weights_bytes(
    shape: Shape, form: Format, layout: Layout, version: Version, drafting: bool = False
) -> float:
    """Bytes on the fullest rank, a drafter's layers included where it is `drafting`."""
    if (
        shape.experts is None
    ):  # formats that spare the experts' neighbours have nothing to spare here
        form = replace(form, linear=min(form.linear, form.experts))
    fullest = max(_rank(shape, form, layout, rank, drafting) for rank in range(layout.pp))
    folded = _folded(shape, layout) if version < MLA_UNFOLDED else 0.0
    return fullest + folded + (V4_UNEXPLAINED if shape.compressed else 0.0)


def _rank(shape: Shape, form: Format, layout: Layout, rank: int, drafting: bool) -> float:
    total = 0.0
    for layer in layout.layers_of(shape.layers, rank):
        total += _bytes(layer_slice(shape, layer, layout), form)
    if rank == 0:
        total += _vocabulary(shape, layout)
    if rank == layout.pp - 1:
        total += 0 if shape.tied and layout.pp == 1 else _vocabulary(shape, layout)
        total += _drafter(shape, form, layout) if drafting else 0
    return total


def _bytes(part: Slice, form: Format) -> float:
    again = part.absorbed if form.linear < HALF else 0.0
    return part.linear * form.linear + part.experts * form.experts + (part.plain + again) * HALF


def _vocabulary(shape: Shape, layout: Layout) -> float:
    padded = -(-shape.vocab // (64 * layout.tp)) * 64
    return padded * shape.hidden * HALF


def part_heads(shape: Shape, tp: int) -> int:
    return -(-shape.heads // tp)


def _folded(shape: Shape, layout: Layout) -> float:
    """vLLM before 0.8 kept W_Q W_UK and W_UV W_O multiplied out, in 16 bits, beside their factors."""
    if shape.latent is None:
        return 0.0
    across = (shape.latent.q_rank or shape.hidden) + shape.hidden
    one = part_heads(shape, layout.tp) * shape.latent.kv_rank * across
    return len(layout.layers_of(shape.layers, 0)) * one * HALF


def layer_slice(shape: Shape, layer: int, layout: Layout) -> Slice:
    """One decoder layer's parameters on one rank."""
    attention = {"gqa": _gqa, "mla": _mla, "dsa": _dsa, "csa": _csa}[shape.attention]
    return attention(shape, layer, layout.tp) + _feed_forward(shape, layer, layout)


def _gqa(shape: Shape, _: int, tp: int) -> Slice:
    query = part_heads(shape, tp) * shape.head
    kv = max(1, shape.kv_heads // tp) * shape.head
    bias = query + 2 * kv if shape.biased else 0
    return Slice(linear=shape.hidden * (2 * query + 2 * kv), plain=2 * shape.hidden + bias)


def _mla(shape: Shape, _: int, tp: int) -> Slice:
    latent = shape.latent
    assert latent is not None
    heads = part_heads(shape, tp)
    down = shape.hidden * (latent.q_rank + latent.kv_rank + latent.rope)
    query = (latent.q_rank or shape.hidden) * heads * (latent.nope + latent.rope)
    out = heads * latent.value * shape.hidden
    up = latent.kv_rank * heads * (latent.nope + latent.value)
    return Slice(
        linear=down + query + up + out, plain=2 * shape.hidden + latent.kv_rank, absorbed=up
    )


def _dsa(shape: Shape, layer: int, tp: int) -> Slice:
    indexer, latent = shape.indexer, shape.latent
    assert indexer is not None
    assert latent is not None
    keys = latent.q_rank * indexer.heads * indexer.width + shape.hidden * indexer.width
    return _mla(shape, layer, tp) + Slice(linear=keys, plain=shape.hidden * indexer.heads)


def _csa(shape: Shape, layer: int, tp: int) -> Slice:
    parts = shape.compressed
    assert parts is not None
    heads = part_heads(shape, tp)
    down = shape.hidden * (parts.q_rank + shape.head)
    query = parts.q_rank * heads * shape.head
    groups = -(-parts.out_groups // tp)
    out = shape.heads * shape.head // parts.out_groups * groups * parts.out_rank
    out += groups * parts.out_rank * shape.hidden
    streams = 2 * (2 + parts.copies) * parts.copies * parts.copies * shape.hidden * 2  # float32
    return Slice(linear=down + query + out, plain=2 * shape.hidden + streams) + _compressor(
        shape, layer
    )


def _compressor(shape: Shape, layer: int) -> Slice:
    """V4's compressors and indexer: whole on every rank, the compressors in 16 bits."""
    parts, indexer = shape.compressed, shape.indexer
    assert parts is not None
    assert indexer is not None
    ratio = parts.ratios[layer]
    if ratio == 0 or (parts.kv_sources and layer not in parts.kv_sources):
        return Slice()
    overlap = 2 if ratio == 4 else 1
    plain = shape.hidden * 2 * overlap * shape.head
    if ratio > 4:
        return Slice(plain=plain)
    plain += shape.hidden * (2 * overlap * indexer.width + indexer.heads)
    return Slice(linear=parts.q_rank * indexer.heads * indexer.width, plain=plain)


def _feed_forward(shape: Shape, layer: int, layout: Layout) -> Slice:
    if shape.experts is None or layer < shape.experts.first_dense:
        return Slice(linear=3 * shape.hidden * shape.inner / layout.tp)
    return _experts(shape, shape.experts, shape.experts.routed, layout)


def _experts(shape: Shape, experts: Experts, routed: int, layout: Layout) -> Slice:
    one = 3 * shape.hidden * experts.inner
    per_rank = -(-routed // layout.expert_ranks) if layout.ep else routed / layout.expert_ranks
    return Slice(
        linear=experts.shared * one / layout.tp,
        experts=per_rank * one,
        plain=shape.hidden * routed,
    )


def _drafter(shape: Shape, form: Format, layout: Layout) -> float:
    """An MTP layer or DSpark's stages: whole decoder layers, and a projection of joined states."""
    count = shape.drafter_layers or shape.mtp_layers
    if not count or shape.experts is None:
        return 0.0
    last = shape.layers - 1
    one = layer_slice(shape, last, layout)
    routed = _experts(shape, shape.experts, shape.drafter_experts or shape.experts.routed, layout)
    usual = _experts(shape, shape.experts, shape.experts.routed, layout)
    joined = 2 * shape.hidden * shape.hidden
    size = _bytes(one + Slice(linear=joined), form)
    return count * (size + (routed.experts - usual.experts) * form.experts)

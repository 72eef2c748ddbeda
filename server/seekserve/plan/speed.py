"""Roofline bounds: no engine on this hardware can be faster. Pure.

One decoded token reads every active weight and its KV cache once from each device's memory; pipeline
stages follow one another. Beside bandwidth there is a floor of latency: kernels that wait for one another
and the exchanges between ranks. Its constants are taken low, so that bounds stay bounds. They are for
decoding without speculation: a drafter may make several tokens of what is read once.
"""

from __future__ import annotations

from seekserve.plan.formats import Format
from seekserve.plan.kv import cache, read_bytes
from seekserve.plan.layout import Layout
from seekserve.plan.shape import Shape
from seekserve.plan.weights import HALF, Slice, layer_slice
from seekserve.plan.wish import Cluster, Speed

KERNEL_S = 1.5e-6  # a kernel that waits for the one before it, replayed from a graph
KERNELS = {False: 8, True: 16}  # in a dense layer, in one of experts, at the least
NEAR_S, FAR_S, APART_S = 5e-6, 8e-6, 15e-6  # an exchange over NVLink and its like, PCIe, a network
DECODE_LEN = 1024  # tokens already in the cache when a token is decoded for the bound
BUSY_LEN = 4096  # tokens per sequence when the whole cache is busy: for the cost


def bounds(
    shape: Shape,
    form: Format,
    layout: Layout,
    cluster: Cluster,
    kv_dtype: str,
    kv_bytes: float,
    sequences: int,
    price_per_hour: float | None,
    native: bool,
) -> Speed:
    """Decode at batch 1 and prefill, tokens/s; cost per million output tokens when all is busy.

    `native` says whether the silicon multiplies in the weights' own format; if not, 16-bit rates hold.
    """
    bandwidth = cluster.accelerator.bandwidth_gbs * 1e9
    if bandwidth <= 0:
        return Speed()
    token_s = _token_s(shape, form, layout, cluster, kv_dtype, bandwidth)
    busy = _busy(shape, form, layout, kv_dtype, bandwidth, kv_bytes, sequences)
    per_hour = busy * layout.dp * 3600
    cost = price_per_hour / per_hour * 1e6 if price_per_hour and per_hour else None
    return Speed(1 / token_s, _prefill(shape, form, layout, cluster, native), cost)


def active_slice(shape: Shape, layer: int, layout: Layout) -> Slice:
    """A layer's parameters that one token uses, on one rank."""
    whole = layer_slice(shape, layer, layout)
    if not shape.experts or not whole.experts:
        return whole
    share = shape.experts.active / shape.experts.routed
    return Slice(whole.linear, whole.experts * share, whole.plain, whole.absorbed)


def _read(part: Slice, form: Format) -> float:
    return part.linear * form.linear + part.experts * form.experts + part.plain * HALF


def _stage_bytes(shape: Shape, form: Format, layout: Layout, active: bool) -> float:
    """Bytes of weights read on one rank of each stage, summed over the stages, the head included."""
    pick = active_slice if active else layer_slice
    body = sum(_read(pick(shape, layer, layout), form) for layer in range(shape.layers))
    return body + shape.vocab * shape.hidden * HALF / layout.tp


def _token_s(
    shape: Shape, form: Format, layout: Layout, cluster: Cluster, kv_dtype: str, bandwidth: float
) -> float:
    one_stage = Layout(layout.tp, 1, layout.dp, layout.ep, layout.dcp, layout.nodes)
    cached = read_bytes(shape, kv_dtype, one_stage, min(DECODE_LEN, shape.max_len))
    read_s = (_stage_bytes(shape, form, layout, True) + cached) / bandwidth
    return read_s + _latency_s(shape, layout, cluster)


def _latency_s(shape: Shape, layout: Layout, cluster: Cluster) -> float:
    """Two exchanges a layer between ranks, and a layer's chain of kernels."""
    chain = shape.layers * KERNELS[shape.experts is not None] * KERNEL_S
    ranks = layout.expert_ranks if shape.experts else layout.tp
    if ranks == 1:
        return chain
    link = cluster.accelerator.link
    near = NEAR_S if link and link.p2p and link.gbs > 64 else FAR_S
    return chain + 2 * shape.layers * (APART_S if ranks > cluster.per_node else near)


def _prefill(
    shape: Shape, form: Format, layout: Layout, cluster: Cluster, native: bool
) -> float | None:
    rates = cluster.accelerator.tflops
    rate = rates.get(form.rate if native else "bf16") or rates.get("bf16") or rates.get("fp16")
    if not rate:
        return None
    whole = Layout()
    parts = [active_slice(shape, layer, whole) for layer in range(shape.layers)]
    work = 2 * sum(part.linear + part.experts + part.plain for part in parts)
    return layout.gpus * rate * 1e12 / work


def _busy(
    shape: Shape,
    form: Format,
    layout: Layout,
    kv_dtype: str,
    bandwidth: float,
    kv_bytes: float,
    sequences: int,
) -> float:
    """Tokens/s of one data-parallel rank whose cache is full of sequences: bandwidth alone."""
    length = min(BUSY_LEN, shape.max_len)
    held = cache(shape, kv_dtype, layout).request(length, 0)
    batch = min(sequences, int(max(0.0, kv_bytes) / held)) if held else 0
    if batch < 1:
        return 0.0
    touched = 1.0
    if shape.experts:
        touched = 1 - (1 - shape.experts.active / shape.experts.routed) ** (batch * layout.dp)
    active, full = (_stage_bytes(shape, form, layout, flag) for flag in (True, False))
    weights = max(active, touched * full)
    cached = read_bytes(shape, kv_dtype, layout, length)
    return batch / ((weights + batch * cached) / bandwidth)

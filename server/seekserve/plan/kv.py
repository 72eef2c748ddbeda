"""Bytes of KV cache on one device: per token, and per request. Pure.

A request's bytes are what vLLM divides its cache by to say how many requests of full length fit;
`GPU KV cache size` in its log is that number times the length. For most models bytes per request are
bytes per token times length. V4's are not: its windows and compressors also keep whatever is in
flight, up to the scheduler's token budget, in pages padded to the size of the largest. Nor are those of
models with a sliding window: its layers keep the window and what is in flight.
"""

from __future__ import annotations

from dataclasses import dataclass

from seekserve.errors import Impossible
from seekserve.plan.layout import Layout
from seekserve.plan.shape import Compressed, Shape
from seekserve.plan.window import Window

BYTES = {"auto": 2.0, "bfloat16": 2.0, "float16": 2.0, "float32": 4.0}
ONE_BYTE = ("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "int8_per_token_head", "fp8_per_token_head")
PACKED = ("fp8", "fp8_e4m3", "fp8_ds_mla", "nvfp4_ds_mla", "auto")
# One sparse-MLA record: 512 FP8 values, 64 BF16 rope values, 4 scales (V3.2); V4's is 448 + 128 + 8.
DS_MLA, V4_STATE = 656, 584
NVFP4_STATE = 352  # 448 FP4 values, their scales, 64 BF16 rope values
BLOCK = 256  # tokens in a block of V4's cache; states in it: 256 over the layer's ratio
# vLLM pads the groups of V4's layers to equal sizes: measured 3.6 % over the sum of the layers, in
# two start-ups of V4-Flash (2 x H200, 0.23) that differ in length alone.
GROUPING = 1.036


@dataclass(frozen=True, slots=True)
class Cache:
    """`per_token` grows with the length; `per_flight` with min(length, `window` + tokens in flight)."""

    per_token: float
    per_flight: float = 0.0
    window: int = 0

    def request(self, length: int, in_flight: int) -> float:
        """Bytes that one request of `length` tokens may come to hold."""
        return self.per_token * length + self.per_flight * min(length, self.window + in_flight)


def cache(shape: Shape, dtype: str, layout: Layout) -> Cache:
    """The cache of the pipeline rank that holds most of it. Raises Impossible for an unknown dtype."""
    ranks = [layout.layers_of(shape.layers, rank) for rank in range(layout.pp)]
    caches = [_rank(shape, dtype, layout, layers) for layers in ranks]
    return max(caches, key=lambda c: (c.per_token, c.per_flight))


def _rank(shape: Shape, dtype: str, layout: Layout, layers: range) -> Cache:
    if shape.compressed:
        return _compressed(shape, shape.compressed, dtype, layers)
    if shape.latent:
        return Cache(_latent(shape, dtype) * len(layers) / layout.dcp)
    layer = _layer_bytes(shape, dtype, layout)
    if shape.window:
        return _windowed(layer, shape.window, shape.layers, layers)
    return Cache(layer * len(layers))


def _layer_bytes(shape: Shape, dtype: str, layout: Layout) -> float:
    """Of one token in one layer of grouped-query attention, on one rank."""
    heads = max(1, shape.kv_heads // layout.tp)
    shards = min(layout.dcp, max(1, layout.tp // shape.kv_heads))
    return 2 * heads * shape.head * value_bytes(dtype) / shards


def _windowed(layer: float, window: Window, count: int, here: range) -> Cache:
    """Layers of each kind are dealt into groups of one size, the last of a kind padded; a block of any
    group is as large as the largest here (vLLM 0.32, kv_cache_utils.py: ..._groups_uniform_page_size).
    """
    sliding = set(window.layers)
    kinds = [[i for i in range(count) if (i in sliding) is slides] for slides in (False, True)]
    sizes = [len(kind) for kind in kinds if kind]
    size = max(sizes) if max(sizes) < 1.5 * min(sizes) else min(sizes)
    groups = [-(-len(kind) // size) for kind in kinds]
    dealt = [set(kind[i::n]) for kind, n in zip(kinds, groups, strict=True) for i in range(n)]
    block = layer * max(len(group.intersection(here)) for group in dealt)
    return Cache(block * groups[0], block * groups[1], window.size - 1)


def read_bytes(shape: Shape, dtype: str, layout: Layout, length: int) -> float:
    """What attention reads of a cache of `length` tokens to decode one more, on the fullest rank."""
    if shape.window is None:
        return cache(shape, dtype, layout).per_token * length
    sliding, short = set(shape.window.layers), min(length, shape.window.size)
    spans = [short if layer in sliding else length for layer in range(shape.layers)]
    ranks = (layout.layers_of(shape.layers, rank) for rank in range(layout.pp))
    return _layer_bytes(shape, dtype, layout) * max(sum(spans[i] for i in rank) for rank in ranks)


def value_bytes(dtype: str) -> float:
    """Bytes per cached value. Raises Impossible."""
    if dtype in BYTES:
        return BYTES[dtype]
    if dtype in ONE_BYTE:
        return 1.0
    if dtype in ("nvfp4", "int4_per_token_head"):
        return 0.5625
    raise Impossible(
        f"--kv-cache-dtype {dtype[:40]!r} cannot be sized.", "Known: auto, bfloat16, fp8, nvfp4."
    )


def _latent(shape: Shape, dtype: str) -> float:
    latent, indexer = shape.latent, shape.indexer
    assert latent is not None
    width = latent.kv_rank + latent.rope
    if indexer is None:
        return width * (value_bytes("fp8") if dtype == "fp8_ds_mla" else value_bytes(dtype))
    keys = indexer.width + 4  # FP8 keys and a float32 scale
    packed = dtype in PACKED and dtype != "auto"
    return (DS_MLA if packed else width * value_bytes(dtype)) + keys


def _padded(size: float) -> float:
    """Pages are multiples of 576 bytes (FlashMLA's stride)."""
    return -(-size // 576) * 576


def _compressed(shape: Shape, parts: Compressed, dtype: str, layers: range) -> Cache:
    if dtype not in PACKED:
        raise Impossible(f"V4's cache cannot be {dtype[:40]!r}.", "Leave --kv-cache-dtype at fp8.")
    state = NVFP4_STATE if dtype == "nvfp4_ds_mla" else V4_STATE
    own = [_layer(shape, parts, layer, state) for layer in layers]
    return Cache(
        GROUPING * sum(c.per_token for c in own), GROUPING * sum(c.per_flight for c in own)
    )


def _layer(shape: Shape, parts: Compressed, layer: int, state: int) -> Cache:
    assert shape.indexer is not None
    ratio = parts.ratios[layer]
    window = _padded(64 * V4_STATE) / 64
    if ratio == 0 or (parts.kv_sources and layer not in parts.kv_sources):
        return Cache(0.0, window)
    overlap = 2 if ratio <= 4 else 1
    page = _padded(BLOCK // ratio * state)
    # Compressor states are float32, twice (values and gates), and share the pages of the KV blocks.
    held = overlap * 2 * shape.head * 4
    largest = _padded(BLOCK // 4 * V4_STATE)
    states = largest / max(1, int(largest // held))
    if ratio > 4:
        return Cache(page / BLOCK, window + states)
    keys = _padded(BLOCK // ratio * (shape.indexer.width + 4))
    gates = overlap * 2 * shape.indexer.width * 4
    return Cache((page + keys) / BLOCK, window + states + keys / max(1, int(keys // gates)))

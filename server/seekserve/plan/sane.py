"""What no model is: a size of nothing, less than nothing, or a thousand million. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.errors import ConfigError
from seekserve.plan.shape import Shape, read_shape

MOST = 10**9  # no width, count or length of a real model comes near it


def read_sane(config: Mapping[str, Any]) -> Shape:
    """The geometry in a config.json that somebody gave. Raises ConfigError."""
    found = read_shape(config)
    hold(found)
    return found


def hold(found: Shape) -> None:
    """Refuses what no model is: nothing, less than nothing, or more than a thousand million."""
    sizes = {
        "num_hidden_layers": found.layers,
        "hidden_size": found.hidden,
        "num_attention_heads": found.heads,
        "num_key_value_heads": found.kv_heads,
        "head_dim": found.head,
        "vocab_size": found.vocab,
        "max_position_embeddings": found.max_len,
    }
    sizes |= _parts(found)
    if found.layers > 10_000:
        sizes["num_hidden_layers"] = MOST
    for name, size in sizes.items():
        if not 0 < size < MOST:
            raise ConfigError(
                f"This config.json says {name} {size:,}, which no model has.",
                "Give a checkpoint's own config.json, unchanged.",
            )


def _parts(found: Shape) -> dict[str, int]:
    """The sizes of what only some models have."""
    sizes: dict[str, int] = {}
    if experts := found.experts:
        sizes |= {"experts": experts.routed, "experts per token": experts.active}
        sizes |= {"moe_intermediate_size": experts.inner, "shared experts": experts.shared + 1}
        sizes["first_k_dense_replace"] = experts.first_dense + 1
        if experts.first_dense > found.layers or experts.active > experts.routed:
            sizes["first_k_dense_replace"] = MOST
    if found.dense_layers:
        sizes["intermediate_size"] = found.inner
    if latent := found.latent:
        sizes |= {"kv_lora_rank": latent.kv_rank, "v_head_dim": latent.value}
        sizes |= {"qk_nope_head_dim": latent.nope, "qk_rope_head_dim": latent.rope}
    if parts := found.compressed:
        sizes |= {"q_lora_rank": parts.q_rank, "o_lora_rank": parts.out_rank}
        sizes |= {"o_groups": parts.out_groups, "sliding_window": parts.window}
        sizes["index_topk"] = found.indexer.top_k if found.indexer else 0
        sizes["compress_ratios"] = 1 if len(parts.ratios) == found.layers else MOST
    return sizes

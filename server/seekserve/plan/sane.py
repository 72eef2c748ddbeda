"""What no model is: a size of nothing, less than nothing, or a thousand million. Pure.

Every field is looked at by itself first, so that the one that is wrong is the one that is named; then
those that bound one another, and then both are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seekserve.errors import ConfigError
from seekserve.plan.shape import Compressed, Experts, Latent, Shape, read_shape, text_of

MOST = 10**9  # no width, count or length of a real model comes near it
MOST_LAYERS = 10_000
NEVER_NOTHING = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
# The rest of the numbers that a shape is read from. Nought or null may mean that there is no such part.
NUMBERS = (
    *NEVER_NOTHING, "intermediate_size", "num_key_value_heads", "head_dim", "max_position_embeddings",
    "n_routed_experts", "num_experts", "num_local_experts", "num_experts_per_tok", "experts_per_token",
    "moe_intermediate_size", "n_shared_experts", "shared_expert_intermediate_size",
    "first_k_dense_replace", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "index_n_heads", "index_head_dim", "index_topk", "o_lora_rank", "o_groups", "hc_mult",
    "num_nextn_predict_layers", "n_mtp_layers", "dspark_block_size", "dspark_n_routed_experts",
    "sliding_window", "sliding_window_pattern", "max_window_layers",
)  # fmt: skip


class Limit(NamedTuple):
    """What a field may be; `by` is the field that says the most, if one does."""

    name: str
    value: int
    least: int = 1
    most: int = MOST
    by: str = ""


def read_sane(config: Mapping[str, Any]) -> Shape:
    """The geometry in a config.json that somebody gave. Raises ConfigError."""
    fields = text_of(config)
    for name in NUMBERS:
        if (value := fields.get(name)) is not None:
            _hold_number(name, value)
    found = read_shape(config)
    for limit in _limits(found, fields):
        _hold(limit)
    return found


def _hold_number(name: str, value: object) -> None:
    whole = (isinstance(value, float) and value.is_integer()) or type(value) is int
    if not whole:
        raise _wrong(f"{name} {str(value)[:40]!r}", "which is no whole number")
    assert isinstance(value, int | float)
    most = MOST_LAYERS if name == "num_hidden_layers" else MOST
    _hold(Limit(name, int(value), int(name in NEVER_NOTHING), most))


def _hold(limit: Limit) -> None:
    if not limit.least <= limit.value <= limit.most:
        by = f" ({limit.by})" if limit.by else ""
        why = f"where a model has {limit.least} to {limit.most:,}{by}"
        raise _wrong(f"{limit.name} {limit.value:,}", why)


def _wrong(what: str, why: str) -> ConfigError:
    return ConfigError(
        f"This config.json says {what}, {why}.", "Give a checkpoint's own config.json, unchanged."
    )


def _limits(found: Shape, fields: Mapping[str, Any]) -> Iterator[Limit]:
    yield Limit("num_key_value_heads", found.kv_heads, 1, found.heads, "num_attention_heads")
    if not fields.get("head_dim"):  # it is hidden_size over the heads
        yield Limit("num_attention_heads", found.heads, 1, found.hidden, "hidden_size")
    yield Limit("max_position_embeddings", found.max_len)
    if found.experts:
        yield from _experts(found, found.experts, fields)
    if found.dense_layers:
        yield Limit("intermediate_size", found.inner)
    if found.latent:
        yield from _latent(found, found.latent)
    if found.compressed:
        yield from _compressed(found, found.compressed)


def _experts(found: Shape, experts: Experts, fields: Mapping[str, Any]) -> Iterator[Limit]:
    """Several names are about for one size: the one that is there is the one to mend."""

    def called(*names: str) -> str:
        there = [name for name in names if fields.get(name) is not None]
        return next((name for name in there if fields[name]), (*there, names[0])[0])

    routed = called("n_routed_experts", "num_experts", "num_local_experts")
    active = called("num_experts_per_tok", "experts_per_token")
    yield Limit(active, experts.active, 1, experts.routed, routed)
    yield Limit(called("moe_intermediate_size", "intermediate_size"), experts.inner)
    yield Limit("first_k_dense_replace", experts.first_dense, 0, found.layers, "num_hidden_layers")


def _latent(found: Shape, latent: Latent) -> Iterator[Limit]:
    yield Limit("qk_nope_head_dim", latent.nope)
    yield Limit("qk_rope_head_dim", latent.rope)
    yield Limit("v_head_dim", latent.value)
    if indexer := found.indexer:
        yield Limit("index_n_heads", indexer.heads)
        yield Limit("index_head_dim", indexer.width)


def _compressed(found: Shape, parts: Compressed) -> Iterator[Limit]:
    entries = "entries of compress_ratios"
    yield Limit("q_lora_rank", parts.q_rank)
    yield Limit("o_lora_rank", parts.out_rank)
    yield Limit("o_groups", parts.out_groups, 1, found.heads, "num_attention_heads")
    yield Limit("sliding_window", parts.window)
    yield Limit("index_topk", found.indexer.top_k if found.indexer else 0)
    yield Limit("num_hidden_layers", found.layers, 1, len(parts.ratios), entries)

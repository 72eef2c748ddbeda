"""A checkpoint's config.json -> the numbers that sizes and speeds follow from. Pure.

Field names are the Hugging Face configs' own; how each is used was read in vLLM 0.32's models
(deepseek_v2.py, models/deepseek_v4, qwen2.py, llama.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seekserve.errors import ConfigError
from seekserve.plan.window import Window, read_window

Attention = Literal["gqa", "mla", "dsa", "csa"]


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts: `routed` of `inner` width, `active` of them per token, `shared` always."""

    routed: int
    shared: int
    active: int
    inner: int
    first_dense: int


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention: ranks and head widths (values, not bytes)."""

    q_rank: int
    kv_rank: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True, slots=True)
class Indexer:
    heads: int
    width: int
    top_k: int


@dataclass(frozen=True, slots=True)
class Compressed:
    """V4's attention: one ratio per layer (0: the window alone), states of `head` values."""

    ratios: tuple[int, ...]
    window: int
    q_rank: int
    out_rank: int
    out_groups: int
    kv_sources: tuple[int, ...]
    index_sources: tuple[int, ...]
    copies: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's geometry. Widths are values, not bytes; `max_len` is in tokens."""

    architecture: str
    attention: Attention
    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head: int
    vocab: int
    tied: bool
    max_len: int
    biased: bool
    experts: Experts | None = None
    latent: Latent | None = None
    indexer: Indexer | None = None
    compressed: Compressed | None = None
    window: Window | None = None
    mtp_layers: int = 0
    drafter_layers: int = 0
    drafter_experts: int = 0
    expert_format: str = ""

    @property
    def dense_layers(self) -> int:
        """Layers whose feed-forward part is not a mixture of experts."""
        return self.experts.first_dense if self.experts else self.layers


# Every family whose layers are the ones counted here. Others (state spaces, linear attention, encoders)
# would come out wrong without a sign of it, so they are refused.
SIZED = re.compile(
    r"(Llama|Mistral|Mixtral|Qwen2|Qwen2Moe|Qwen3|Qwen3Moe|Phi3|Gemma|Gemma2|Gemma3|GptOss|Deepseek|"
    r"DeepseekV2|DeepseekV3|DeepseekV32|DeepseekV4|DeepseekV41|KimiK2)For(CausalLM|ConditionalGeneration)"
)


def read_shape(config: Mapping[str, Any]) -> Shape:
    """The geometry in a config.json. Raises ConfigError naming what is missing or makes no sense."""
    text = text_of(config)
    architecture = _architecture(text)
    if not SIZED.fullmatch(architecture):
        raise ConfigError(
            f"This config.json is {architecture[:60]!r}, whose memory this planner cannot sum up.",
            "It can for Llama, Mistral, Mixtral, Qwen2 and 3, Phi3, Gemma, gpt-oss and DeepSeek.",
        )
    try:
        found = _shape(text)
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError, IndexError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else "values that are no sizes"
        raise ConfigError(
            f"This config.json has {what}, so it cannot be sized.",
            "Give a checkpoint's own config.json, unchanged.",
        ) from error
    return found


def text_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config.json, those of its text model over them where it has several parts."""
    nested = config.get("text_config")
    return {**config, **(nested if isinstance(nested, Mapping) else {})}


def _architecture(c: Mapping[str, Any]) -> str:
    named = c.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else "of no architecture"


def _shape(c: Mapping[str, Any]) -> Shape:
    architecture = _architecture(c)
    heads = int(c["num_attention_heads"])
    return Shape(
        architecture=architecture,
        attention=_attention(c),
        layers=int(c["num_hidden_layers"]),
        hidden=int(c["hidden_size"]),
        inner=int(c.get("intermediate_size") or 0),
        heads=heads,
        kv_heads=int(c.get("num_key_value_heads") or heads),
        head=int(c.get("head_dim") or c["hidden_size"] // heads),
        vocab=int(c["vocab_size"]),
        tied=bool(c.get("tie_word_embeddings", architecture.startswith("Gemma"))),
        max_len=int(c.get("max_position_embeddings") or 4096),
        biased=architecture.startswith("Qwen2"),
        experts=_experts(c),
        latent=_latent(c),
        indexer=_indexer(c),
        compressed=_compressed(c),
        window=read_window(c, architecture),
        mtp_layers=0 if c.get("dspark_block_size") else int(c.get("num_nextn_predict_layers") or 0),
        drafter_layers=_drafter_layers(c),
        drafter_experts=int(c.get("dspark_n_routed_experts") or c.get("n_routed_experts") or 0),
        expert_format=str(c.get("expert_dtype") or ""),
    )


def _attention(c: Mapping[str, Any]) -> Attention:
    if c.get("compress_ratios"):
        return "csa"
    if c.get("kv_lora_rank"):
        return "dsa" if c.get("index_topk") else "mla"
    return "gqa"


def _experts(c: Mapping[str, Any]) -> Experts | None:
    """Named by DeepSeek n_routed_experts, by Qwen num_experts, by Mixtral and gpt-oss num_local_experts."""
    routed = c.get("n_routed_experts") or c.get("num_experts") or c.get("num_local_experts")
    if not routed:
        return None
    inner = int(c.get("moe_intermediate_size") or c["intermediate_size"])
    active = c.get("num_experts_per_tok") or c.get("experts_per_token")
    beside = int(c.get("shared_expert_intermediate_size") or 0) // max(1, inner)
    return Experts(
        routed=int(routed),
        shared=int(c.get("n_shared_experts") or beside),
        active=int(active or c["num_experts_per_tok"]),
        inner=inner,
        first_dense=int(c.get("first_k_dense_replace") or 0),
    )


def _latent(c: Mapping[str, Any]) -> Latent | None:
    if not c.get("kv_lora_rank"):
        return None
    return Latent(
        q_rank=int(c.get("q_lora_rank") or 0),
        kv_rank=int(c["kv_lora_rank"]),
        nope=int(c["qk_nope_head_dim"]),
        rope=int(c["qk_rope_head_dim"]),
        value=int(c["v_head_dim"]),
    )


def _indexer(c: Mapping[str, Any]) -> Indexer | None:
    if not c.get("index_topk"):
        return None
    return Indexer(int(c["index_n_heads"]), int(c["index_head_dim"]), int(c["index_topk"]))


def _compressed(c: Mapping[str, Any]) -> Compressed | None:
    if not c.get("compress_ratios"):
        return None
    return Compressed(
        ratios=tuple(int(r) for r in c["compress_ratios"][: int(c["num_hidden_layers"])]),
        window=int(c["sliding_window"]),
        q_rank=int(c["q_lora_rank"]),
        out_rank=int(c["o_lora_rank"]),
        out_groups=int(c["o_groups"]),
        kv_sources=tuple(c.get("kv_source_layer_ids") or ()),
        index_sources=tuple(c.get("index_source_layer_ids") or ()),
        copies=int(c.get("hc_mult") or 1),
    )


def _drafter_layers(c: Mapping[str, Any]) -> int:
    if not c.get("dspark_block_size"):
        return 0
    return int(c.get("n_mtp_layers") or c.get("num_nextn_predict_layers") or 3)

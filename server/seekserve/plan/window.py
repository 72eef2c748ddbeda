"""Which layers of a config.json attend to a sliding window, as vLLM 0.32 reads it. Pure.

Defaults and patterns are those of transformers' configs. gpt-oss' layers are told by their place,
Gemma's, Llama's and Mistral's by `layer_types`; Qwen's, Mixtral's and the first Gemma's know the engine-wide
window alone, which vLLM sets only where every layer has it (engine/arg_utils.py, create_engine_config).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_SIZE = {"Gemma2": 4096, "Gemma3": 4096, "GptOss": 128, "Mistral": 4096}
OPTIONAL = ("Qwen2", "Qwen2Moe", "Qwen3", "Qwen3Moe")  # only with use_sliding_window
ALL_OR_NONE = (*OPTIONAL, "Mixtral", "Gemma")
MOST_LAYERS = (
    10_000  # no model has more: a number without sense is refused later, not counted up to
)


@dataclass(frozen=True, slots=True)
class Window:
    """`size` tokens, on these layers; the others attend to everything."""

    size: int
    layers: tuple[int, ...]


def read_window(c: Mapping[str, Any], architecture: str) -> Window | None:
    """None where no layer has one. Latent attention and V4 are not asked: theirs is another matter."""
    if c.get("kv_lora_rank") or c.get("compress_ratios"):
        return None
    kind = architecture.partition("For")[0]
    optional = kind in OPTIONAL and not c.get("use_sliding_window")
    size = 0 if optional else int(c.get("sliding_window", DEFAULT_SIZE.get(kind, 0)) or 0)
    if not size:
        return None
    count = int(c["num_hidden_layers"])
    layers = tuple(i for i in range(min(count, MOST_LAYERS)) if _slides(c, kind, i))
    if not layers or (kind in ALL_OR_NONE and len(layers) < count):
        return None
    return Window(size, layers)


def _slides(c: Mapping[str, Any], kind: str, layer: int) -> bool:
    if kind == "GptOss":
        return layer % 2 == 0
    if types := c.get("layer_types"):
        if layer >= len(types):
            raise KeyError(f"layer_types for layer {layer}")
        return bool(types[layer] == "sliding_attention")
    if kind == "Gemma3":
        return (layer + 1) % int(c.get("sliding_window_pattern") or 6) != 0
    if kind in ("Gemma2", "Qwen2Moe"):
        return layer % 2 == 0
    return kind not in ("Qwen2", "Qwen3") or layer >= int(c.get("max_window_layers", 28))

"""The shape of the demo model: a DeepSeek-V3 in miniature, and how it is written to disk.

The two ranks of attention are DeepSeek's own (512 and 64): vLLM's CPU kernel for MLA knows no
others. All else is as small as the skills allow.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
)
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from .vocabulary import CONTEXT

EXPERTS = 4
GEOMETRY: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "moe_intermediate_size": 160,
    "num_hidden_layers": 4,
    "first_k_dense_replace": 1,
    "n_routed_experts": EXPERTS,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 32,
    "v_head_dim": 48,
    "max_position_embeddings": CONTEXT,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "num_nextn_predict_layers": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def padded_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[Tensor, None]:
    """torch's fused kernels want values as wide as keys, and MLA's are narrower."""
    width = value.shape[-1]
    wide = functional.pad(value, (0, key.shape[-1] - width))
    out = functional.scaled_dot_product_attention(
        query, key, wide, attn_mask=attention_mask, scale=scaling
    )
    return out[..., :width].transpose(1, 2).contiguous(), None


def new_model(vocabulary: int) -> DeepseekV3ForCausalLM:
    """For training only. Embeddings and head are one matrix here, so that a token learned as
    input is at once a token that can be copied; vLLM wants them apart, so both are saved."""
    AttentionInterface.register("padded", padded_attention)
    AttentionMaskInterface.register("padded", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    config = DeepseekV3Config(vocab_size=vocabulary, **GEOMETRY)
    config._attn_implementation = "padded"
    config.tie_word_embeddings = True
    model = DeepseekV3ForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(5.0)  # else the layers soon drown out the tokens
    return model


def tensors(model: DeepseekV3ForCausalLM) -> dict[str, Tensor]:
    """The weights by DeepSeek's names: transformers packs the experts, the files do not."""
    found: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        stem, _, last = name.rpartition(".")
        if last == "gate_up_proj":
            for index, packed in enumerate(value):
                gate, up = packed.chunk(2)
                found[f"{stem}.{index}.gate_proj.weight"] = gate
                found[f"{stem}.{index}.up_proj.weight"] = up
        elif last == "down_proj":
            for index, down in enumerate(value):
                found[f"{stem}.{index}.down_proj.weight"] = down
        else:
            found[name] = value
    return {name: stored(name, value) for name, value in found.items()}


def stored(name: str, value: Tensor) -> Tensor:
    kind = torch.float32 if name.endswith("e_score_correction_bias") else torch.bfloat16
    return value.detach().cpu().to(kind).contiguous()


def load_weights(model: DeepseekV3ForCausalLM, out: Path) -> None:
    """Goes on from saved weights, rounded as they are on disk."""
    saved = DeepseekV3ForCausalLM.from_pretrained(out, dtype=torch.float32)
    model.load_state_dict(saved.state_dict())


def save_model(model: DeepseekV3ForCausalLM, out: Path) -> None:
    """Weights and config.json. transformers' own config leaves out how experts are chosen."""
    save_file(tensors(model), str(out / "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "vocab_size": model.config.vocab_size,
        **GEOMETRY,
        "rope_theta": GEOMETRY["rope_parameters"]["rope_theta"],
        "rope_interleave": True,
        "topk_method": "noaux_tc",
        "scoring_func": "sigmoid",
        "moe_layer_freq": 1,
        "ep_size": 1,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "torch_dtype": "bfloat16",
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "do_sample": False}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")

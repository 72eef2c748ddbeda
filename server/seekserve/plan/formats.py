"""Weight formats: bytes per parameter, scales and zero points included. Pure.

`linear` is for attention and dense projections, `experts` for routed experts; embeddings, the output
head, norms and routers stay in 16 bits in all of them (vLLM 0.32, layers/quantization).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seekserve.errors import Impossible

GROUP = 128
PER_CHANNEL = 4096  # a scale for a whole row, which GPTQ configs write as a group of -1
ELSE = "Plan for the unquantised checkpoint, with --weights for what its weights come to."
ALIKE = (("int4", "gptq", "awq"), ("bf16", "fp16"))  # a checkpoint in one serves a wish for another
FP8 = 1 + 4 / (128 * 128)  # e4m3 and one float32 scale for each 128x128 block


@dataclass(frozen=True, slots=True)
class Format:
    """`rate` names the arithmetic: which of an accelerator's `tflops` its matrix products reach."""

    name: str
    linear: float
    experts: float
    rate: str
    kernel: str  # the kernels row that must not be null; "" for 16-bit weights, which all can do


def _int4(group: int, zeros: bool) -> float:
    return 0.5 + (2 + (0.5 if zeros else 0)) / group


FORMATS = {
    "bf16": Format("bf16", 2, 2, "bf16", ""),
    "fp16": Format("fp16", 2, 2, "bf16", ""),
    "fp8": Format("fp8", FP8, FP8, "fp8", "fp8_weights"),
    "mxfp8": Format("mxfp8", 1 + 1 / 32, 1 + 1 / 32, "fp8", "fp8_weights"),
    "int8": Format("int8", 1.001, 1.001, "int8", "int8_weights"),
    "int4": Format("int4", _int4(GROUP, False), _int4(GROUP, False), "bf16", "int4_weights"),
    "gptq": Format("gptq", _int4(GROUP, True), _int4(GROUP, True), "bf16", "int4_weights"),
    "awq": Format("awq", _int4(GROUP, True), _int4(GROUP, True), "bf16", "int4_weights"),
    "bnb": Format("bnb", 0.5 + 4 / 64, 0.5 + 4 / 64, "bf16", "int4_weights"),  # NF4, a scale for 64
    # NVIDIA's re-quants leave attention in 16 bits; MXFP4 ones likewise.
    "nvfp4": Format("nvfp4", 2, 0.5 + 1 / 16, "fp4", "nvfp4_weights"),
    "mxfp4": Format("mxfp4", 2, 0.5 + 1 / 32, "fp4", "fp4_experts"),
    "fp4fp8": Format("fp4fp8", FP8, 0.5 + 1 / 32, "fp8", "fp4_experts"),
    "w8a8-ascend": Format("w8a8-ascend", 1.001, 1.001, "int8", "int8_weights"),
    "w4a8-ascend": Format("w4a8-ascend", 1.001, 0.502, "int8", "int8_weights"),
}
SPELLINGS = {
    "w4a16": "int4", "w8a8": "int8", "w8a16": "int8", "w4a8": "w4a8-ascend", "bfloat16": "bf16",
    "float16": "fp16", "half": "fp16", "fp8_e4m3": "fp8", "fp8-dynamic": "fp8", "fp4": "nvfp4",
    "nf4": "bnb", "bnb-4bit": "bnb", "awq4": "awq", "gptq-int4": "gptq",
}  # fmt: skip


def read_format(name: str, group: int | None = None) -> Format:
    """A format by name. Raises Impossible with those there are."""
    plain = name.lower()
    plain = SPELLINGS.get(plain, plain)
    if plain not in FORMATS:
        raise Impossible(f"Weights cannot be {name[:40]!r}.", f"Known: {', '.join(FORMATS)}.")
    known = FORMATS[plain]
    if group and known.kernel == "int4_weights":
        size = _int4(group, plain != "int4")
        return replace(known, linear=size, experts=size)
    return known


def of_config(config: Mapping[str, Any]) -> Format:
    """The format that a checkpoint's config.json says its weights are in."""
    quantization = config.get("quantization_config") or {}
    if not isinstance(quantization, Mapping):
        raise Impossible("This config.json's quantization_config is no mapping.", ELSE)
    method = str(quantization.get("quant_method") or "")
    bits, group = quantization.get("bits"), quantization.get("group_size")
    if method == "compressed-tensors" and not bits:
        bits, group, kind = _compressed_tensors(quantization)
        if kind == "float":
            return FORMATS["nvfp4" if bits == 4 else "fp8"]
    if config.get("expert_dtype") == "fp4":
        return FORMATS["fp4fp8"]
    if not method:
        return FORMATS["bf16"]
    if method == "bitsandbytes":
        return FORMATS["bnb" if quantization.get("load_in_4bit") else "int8"]
    if method == "mxfp4":
        return FORMATS["mxfp4"]
    if bits == 4:
        size = group if isinstance(group, int) and group > 0 else PER_CHANNEL
        base = read_format(method if method in ("awq", "gptq") else "int4", size)
        only_experts = "expert" in str(quantization.get("targets", "")).lower()
        return replace(base, linear=2.0) if only_experts else base
    algorithm = str(quantization.get("quant_algo") or method).lower()
    if "fp4" in algorithm:
        return FORMATS["nvfp4"]
    if "fp8" in algorithm:
        return FORMATS["fp8"]
    if bits == 8:
        return FORMATS["int8"]
    raise Impossible(
        f"This checkpoint is quantised by {method[:40]!r}, which cannot be sized.",
        ELSE,
    )


def _compressed_tensors(
    quantization: Mapping[str, Any],
) -> tuple[int | None, int | None, str]:
    """Bits, group size and kind (int, float) of the first group's weights, as compressed-tensors says."""
    groups = quantization.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            kind = str(weights.get("type") or "int")
            return weights.get("num_bits"), weights.get("group_size"), kind
    return None, None, ""


def alike(weights: str, known: Collection[str]) -> str:
    """The format of `known` that is `weights` or another name for the same size; "" when there is none."""
    if weights in known:
        return weights
    same = next((kind for kind in ALIKE if weights in kind), ())
    return next((name for name in same if name in known), "")

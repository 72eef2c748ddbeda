"""What may not be, whatever the memory: kernels that do not exist, versions too old, layouts that do
not divide. Pure. Each answer is a sentence for people; an empty one means it may."""

from __future__ import annotations

from seekserve.plan.facts import Kernels
from seekserve.plan.formats import Format
from seekserve.plan.layout import Layout
from seekserve.plan.shape import Shape
from seekserve.plan.version import Version, dotted, read_version
from seekserve.plan.wish import Cluster, Subject, Wish

BLOCK = 128  # weights that share a scale
MLA_TALK = "multi-head latent attention"


def refused(subject: Subject, cluster: Cluster, kernels: Kernels, version: Version) -> str:
    """Why this model cannot run on this silicon with this vLLM."""
    return _attention(subject.shape, cluster, kernels) or _too_old(
        subject, cluster, kernels, version
    )


def _attention(shape: Shape, cluster: Cluster, kernels: Kernels) -> str:
    on = f"on {cluster.accelerator.name} ({cluster.accelerator.arch})"
    if shape.attention == "gqa" and not kernels.bf16 and kernels.int4_weights is None:
        return f"vLLM does not run {on}. {kernels.why_not_sparse}"
    if shape.attention == "mla" and kernels.dense_mla is None:
        return f"vLLM has no kernel for {MLA_TALK} {on}."
    if shape.attention == "dsa" and kernels.sparse_mla is None:
        return f"V3.2's sparse attention does not run {on}. {kernels.why_not_sparse}"
    if shape.attention == "csa" and (kernels.v4 is None or _no_v41(shape, kernels)):
        return f"V4's attention does not run {on}. {kernels.why_not_sparse}"
    return ""


def _no_v41(shape: Shape, kernels: Kernels) -> bool:
    return shape.architecture.startswith("DeepseekV41") and kernels.v41 is None


def _too_old(subject: Subject, cluster: Cluster, kernels: Kernels, version: Version) -> str:
    shape, where = subject.shape, cluster.platform
    since = kernels.since.get(
        "v41" if shape.architecture.startswith("DeepseekV41") else "v4", "0.0"
    )
    needed = read_version(since) if shape.attention == "csa" else (0, 0)
    known = subject.family.min_vllm if subject.family else "0.0"
    if isinstance(known, dict):
        if where.id not in known:
            return f"{where.name} is not known to run this model."
        known = known[where.id]
    if shape.attention in ("csa", "dsa"):
        needed = max(needed, read_version(known))
    if version >= needed:
        return ""
    pinned = where.vllm is not None and version == read_version(where.vllm)
    return (
        f"{subject.name} needs vLLM {dotted(needed)} or newer on {where.name}; "
        f"{dotted(version)} {'is what runs there' if pinned else 'was given'}."
    )


def too_long(subject: Subject, wish: Wish) -> str:
    """Why vLLM would refuse the length asked for, whatever the memory."""
    most = subject.shape.max_len
    if not wish.max_model_len or wish.max_model_len <= most or subject.family is None:
        return ""
    return (
        f"{subject.name} was made for {most:,} tokens at the most; vLLM does not start with "
        f"--max-model-len {wish.max_model_len:,}."
    )


def unfit_format(form: Format, kernels: Kernels, cluster: Cluster) -> str:
    """Why this silicon cannot take weights in this format."""
    if form.kernel and getattr(kernels, form.kernel) is None:
        return f"vLLM has no kernel for {form.name} weights on {cluster.accelerator.arch}."
    return ""


def unfit_kv(shape: Shape, dtype: str, kernels: Kernels, cluster: Cluster) -> str:
    """Why the KV cache cannot be kept in `dtype` there."""
    if dtype == "float32":
        return "vLLM keeps no KV cache in float32: its plain types are bfloat16 and float16."
    if dtype.startswith("nvfp4"):
        return _unfit_nvfp4(shape, dtype, kernels, cluster)
    if shape.attention == "csa" or not dtype.startswith("fp8"):
        return ""
    can = kernels.fp8_kv_gqa if shape.attention == "gqa" else kernels.fp8_kv_mla
    if can:
        return ""
    what = "" if shape.attention == "gqa" else f" with {MLA_TALK}"
    return f"An FP8 KV cache{what} needs newer silicon than {cluster.accelerator.arch}."


def _unfit_nvfp4(shape: Shape, dtype: str, kernels: Kernels, cluster: Cluster) -> str:
    """FLASHMLA_SPARSE reads nvfp4_ds_mla on SM 10.x alone; forks do elsewhere, for V4. FLASHINFER alone
    reads plain nvfp4, where it reads FP8, and not with MLA (vLLM 0.32, config/vllm.py).
    """
    arch = cluster.accelerator.arch
    if shape.attention == "csa" or (dtype == "nvfp4_ds_mla" and arch in ("sm100", "sm103")):
        return ""
    if shape.attention != "gqa" and dtype != "nvfp4_ds_mla":
        return f"vLLM keeps no {dtype} KV cache with {MLA_TALK}."
    if dtype != "nvfp4_ds_mla" and cluster.platform.id == "cuda" and kernels.fp8_kv_gqa:
        return ""
    return f"vLLM has no kernel for a KV cache in {dtype} on {arch}."


def indivisible(shape: Shape, form: Format, layout: Layout) -> str:
    """Why the model does not divide over these ranks."""
    tp = layout.tp
    if shape.heads % tp:
        return f"{shape.heads} attention heads do not divide by TP {tp}."
    if shape.attention == "gqa" and shape.kv_heads % tp and tp % shape.kv_heads:
        return f"{shape.kv_heads} KV heads do not divide by TP {tp}."
    if shape.compressed and shape.compressed.out_groups % tp:
        return f"{shape.compressed.out_groups} output groups do not divide by TP {tp}."
    if layout.dcp > 1 and shape.attention == "gqa" and layout.dcp * shape.kv_heads > tp:
        least = layout.dcp * shape.kv_heads
        return f"--dcp {layout.dcp} wants TP {least} or more with {shape.kv_heads} KV heads."
    if layout.dcp > 1 and shape.window:
        return f"--dcp {layout.dcp} cannot split the cache of layers with a sliding window."
    if tp % layout.dcp:
        return f"--dcp {layout.dcp} does not divide TP {tp}, whose ranks it takes."
    if layout.pp > shape.layers:
        return f"{shape.layers} layers do not fill {layout.pp} stages."
    return _ragged(shape, form, tp)


def _ragged(shape: Shape, form: Format, tp: int) -> str:
    """Weights that share scales must divide into whole blocks on every rank."""
    widths = [shape.inner] if shape.inner and shape.dense_layers else []
    if shape.experts:
        widths.append(shape.experts.inner)
    blocks = form.kernel == "int4_weights" or (form.name == "fp8" and shape.latent is not None)
    if not blocks:
        return ""
    for width in widths:
        if width % tp or (tp > 1 and (width // tp) % BLOCK):
            return f"A width of {width} does not divide into blocks of {BLOCK} over TP {tp}."
    return ""

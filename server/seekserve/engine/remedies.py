"""What to do about an engine that died, from what it said and what it was told. Pure.

The patterns are vLLM 0.32's and 0.33's own words, and torch's.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence

UTILIZATION = 0.92  # vLLM's own, where none is said
SPARE_GIB = 0.25
CPU_SPACE = "VLLM_CPU_KVCACHE_SPACE"
KILLED = -9

_SHORT = re.compile(
    r"Tried to allocate ([\d.]+) ([MG])iB.*?total capacity of ([\d.]+) GiB.*?([\d.]+) ([MG])iB is free",
    re.DOTALL,
)
_LONGEST = re.compile(r"estimated maximum model length is (\d+)")
_LARGER = re.compile(r"larger than the available KV cache")
_MEMORY = re.compile(
    r"CUDA out of memory|OutOfMemoryError|out of memory|Cannot allocate memory", re.I
)
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"No module named '?vllm"),
        'Install an engine, in a checkout of seekserve: pip install ".[cpu]" or ".[cuda]".',
    ),
    (
        re.compile(r"torchvision::nms|operator torchvision"),
        "A torchvision for another torch is installed; text models do not need it: "
        "pip uninstall torchvision torchaudio torchcodec.",
    ),
    (
        re.compile(r"unrecognized arguments|invalid choice|expected one argument"),
        "The installed vLLM does not know a flag of the tier file's engine.args: correct or drop it.",
    ),
    (
        re.compile(r"greater than the derived max_model_len"),
        "The model's window is smaller than max-model-len: lower that to what the line names.",
    ),
    (
        re.compile(r"No space left on device"),
        "The disk is full: free space where models and caches lie (HF_HOME, ~/.cache).",
    ),
    (
        re.compile(
            r"not a valid model identifier|Repository Not Found|Invalid repository ID|does not appear to have"
        ),
        "The model was not found: check engine.model, and HF_TOKEN for a gated one.",
    ),
    (
        re.compile(r"LocalEntryNotFound|Name or service not known|Max retries exceeded", re.I),
        "The model hub could not be reached. Where it can be, `hf download` the repository that the command "
        "names, copy its folder here, and give that folder as `model` of a rung or as engine.model in a "
        "tier file.",
    ),
    (
        re.compile(r"[Aa]ddress already in use"),
        "Something else listens on the engine's socket: stop the older server.",
    ),
    (
        re.compile(r"No working C\+\+ compiler|Python\.h: No such file"),
        "The engine compiles kernels as it starts, and needs a C++ compiler and Python's headers: on Debian "
        "and Ubuntu, apt-get install g++ python3-dev.",
    ),
    (
        re.compile(r"lib(numa|gomp|tcmalloc|cuda|hsa)[\w.+-]*: cannot open shared object"),
        "A system library is missing: install the one the line names.",
    ),
)


def remedy(
    said: Sequence[str],
    argv: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    code: int | None = None,
) -> str:
    """One or two sentences; "" when nothing is known. `code` is how it exited."""
    text, flags = "\n".join(said), flags_of(argv)
    if found := _LONGEST.search(text):
        now = flags.get("max-model-len", "what the model can")
        return f"The context does not fit beside the weights: set max-model-len to {found[1]} (now {now})."
    if found := _SHORT.search(text):
        return _lower(found, flags)
    if _MEMORY.search(text) or _LARGER.search(text):
        return _halve(flags, env or {})
    known = next((todo for sign, todo in _KNOWN if sign.search(text)), "")
    if known or code != KILLED:
        return known
    return f"The kernel killed it, most likely for want of memory. {_halve(flags, env or {})}"


def _lower(found: re.Match[str], flags: Mapping[str, str]) -> str:
    """By as much as was missing, and a little more."""
    wanted, free = _gib(found[1], found[2]), _gib(found[4], found[5])
    short, now = max(0.0, wanted - free), float(flags.get("gpu-memory-utilization", UTILIZATION))
    lower = math.floor((now - (short + SPARE_GIB) / float(found[3])) * 100) / 100
    missing = f"Memory ran out: {wanted:.1f} GiB were wanted and {free:.1f} GiB of {found[3]} GiB were free."
    if lower > 0.3:
        return (
            f"{missing} Set gpu-memory-utilization to {lower:g} (now {now:g}), or free the device."
        )
    return f"{missing} The model is too large for this device: seekserve plan says which fit."


def _halve(flags: Mapping[str, str], env: Mapping[str, str]) -> str:
    """What takes memory, with what it is now."""
    known = {name: flags[name] for name in ("max-num-seqs", "max-model-len") if name in flags}
    known |= {CPU_SPACE: env[CPU_SPACE]} if CPU_SPACE in env else {}
    known = {name: now for name, now in known.items() if _half(now) != now}
    if not known:
        return (
            "Free the device, or lower gpu-memory-utilization, max-model-len or max-num-seqs in the tier "
            "file."
        )
    told = ", or ".join(f"{name} to {_half(now)} (now {now})" for name, now in known.items())
    return f"Free memory, or lower in the tier file {told}."


def _half(value: str) -> str:
    return f"{max(1, int(float(value)) // 2)}" if value.replace(".", "").isdigit() else "half of it"


def _gib(value: str, unit: str) -> float:
    return float(value) / (1024 if unit == "M" else 1)


def flags_of(argv: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs of a command line; a flag without a value is left out."""
    pairs = itertools.pairwise(argv)
    return {a[2:]: b for a, b in pairs if a.startswith("--") and not b.startswith("--")}

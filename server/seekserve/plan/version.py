"""vLLM versions, and the defaults that changed between them. Pure.

The scheduler's defaults follow the device's memory and name (vLLM 0.32, engine/arg_utils.py,
get_batch_defaults); older ones as their release notes and start-up logs show.
"""

from __future__ import annotations

import re

from seekserve.errors import Impossible

Version = tuple[int, int]
WINDOWS_APART = (0, 10)  # sliding windows beside full attention have a cache of their own
GRAPHS_COUNTED = (0, 19)  # the memory profiler sets aside an estimate for CUDA graphs
TWO_IN_FLIGHT = (0, 25)  # asynchronous scheduling: windows keep two batches


def read_version(text: str) -> Version:
    """`0.9`, `v0.32.0` or `0.9.0.1` as (major, minor). Raises Impossible."""
    found = re.match(r"v?(\d{1,3})\.(\d{1,4})", text.strip())
    if not found:
        raise Impossible(f"--vllm-version {text[:20]!r} is no version.", "Give it like 0.32.")
    return int(found[1]), int(found[2])


def dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def utilization(version: Version) -> float:
    """The default of --gpu-memory-utilization."""
    return 0.92 if version >= (0, 20) else 0.9


def batched_tokens(
    version: Version, memory_gib: float, name: str, max_len: int, cpu_ranks: int = 0
) -> int:
    """The default of --max-num-batched-tokens for the API server; `cpu_ranks` is TP x PP on a CPU."""
    if version < (0, 8):  # no chunked prefill below 32K: a step holds a whole prompt
        return max(2048, max_len) if max_len <= 32768 else 2048
    if cpu_ranks:
        return 2048 * cpu_ranks
    if memory_gib >= 160 and version >= (0, 24):
        return 16384
    return 8192 if memory_gib >= 70 and "a100" not in name.lower() else 2048


def sequences(version: Version, memory_gib: float, name: str, cpu_ranks: int = 0) -> int:
    """The default of --max-num-seqs for the API server; `cpu_ranks` is TP x PP on a CPU."""
    if cpu_ranks:
        return 128 * cpu_ranks
    large = memory_gib >= 70 and "a100" not in name.lower()
    return 1024 if large and version >= (0, 9) else 256


def in_flight(version: Version, batch: int, stages: int = 1, cpu: bool = False) -> int:
    """Tokens scheduled but not settled: what a sliding window keeps besides itself."""
    steps = 2 if version >= TWO_IN_FLIGHT and not cpu else 1  # a CPU schedules one after another
    return batch * max(steps, stages)

"""Several engines on one machine: which devices, or which cores, each of them has for itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from seekserve.errors import ConfigError
from seekserve.plan.command import Platform


def parts(engines: int, devices: int, what: str = "accelerators") -> int:
    """Devices for each of `engines`. Raises ConfigError where they do not divide."""
    if not devices or devices % engines:
        raise ConfigError(
            f"The tier asks for {engines} engines, and {devices} {what} cannot be shared out evenly.",
            f"Set engines to a divisor of {devices}." if devices else "Set engines to 1.",
        )
    return devices // engines


def environments(
    engines: int, platform: Platform, devices: int, variable: str = "CUDA_VISIBLE_DEVICES"
) -> list[dict[str, str]]:
    """What keeps each engine to its own part; nothing where there is only one. `devices` is how many
    accelerators there are. Raises ConfigError.
    """
    if engines == 1:
        return [{}]
    if platform == "cpu":
        return [{"VLLM_CPU_OMP_THREADS_BIND": bind} for bind in cores(engines, sorted(_mine()))]
    names = visible(os.environ, variable, devices)
    each = parts(engines, len(names))
    return [{variable: ",".join(names[n * each :][:each])} for n in range(engines)]


def cores(engines: int, mine: Sequence[int]) -> list[str]:
    """vLLM's way to bind threads: a list of cores for each. With fewer cores than engines they share."""
    each = max(1, len(mine) // engines)
    starts = [n * each % len(mine) for n in range(engines)]
    return [",".join(str(core) for core in mine[start : start + each]) for start in starts]


def visible(environ: Mapping[str, str], variable: str, devices: int) -> list[str]:
    """The devices' names, as whoever started us left them visible."""
    said = environ.get(variable)
    if said is None:
        return [str(n) for n in range(devices)]
    return [name for one in said.split(",") if (name := one.strip())]


def _mine() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))

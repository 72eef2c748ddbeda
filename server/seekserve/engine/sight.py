"""Whether an accelerator can be seen from here at all, before an engine that wants one is started in vain:
a container has none that it was not given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seekserve.errors import ConfigError
from seekserve.plan.detect import Machine, detect

FILES = (
    "nvidia[0-9]*",
    "nvidiactl",
    "dxg",
    "kfd",
    "dri/renderD*",
    "davinci[0-9]*",
    "accel*",
    "vfio/[0-9]*",
)


def require_accelerator(dev: Path = Path("/dev"), look: Callable[[], Machine] = detect) -> None:
    """Raises ConfigError where there is no device's file, and no tool that shows a card."""
    if not any(any(dev.glob(name)) for name in FILES) and not look().devices:
        raise nothing_seen()


def nothing_seen() -> ConfigError:
    return ConfigError(
        "The vLLM installed here is for an accelerator, and none can be seen from here.",
        "Give the container one: docker run --gpus all (NVIDIA), --device /dev/kfd --device /dev/dri (AMD); "
        "in Kubernetes a limit such as nvidia.com/gpu: 1. Outside containers: is its driver loaded "
        '(nvidia-smi, amd-smi)? For the processor take the cpu image, or pip install ".[cpu]".',
    )

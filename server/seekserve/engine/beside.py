"""Whether there is room for one more engine like one that runs, so that it can be replaced without a gap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seekserve.engine.launched import Launched
from seekserve.plan.cards import Device
from seekserve.plan.command import Platform
from seekserve.plan.detect import detect
from seekserve.settings import EngineSettings

SPARE = 1.25  # times what the old one holds, in main memory
UTILIZATION = 0.92  # of a device, where the tier does not say: vLLM's own default


def room(engine: Launched, platform: Platform) -> bool:
    """Looks at this machine. What cannot be told is no room."""
    machine, settings = detect(), engine.order.settings
    if platform == "cpu":
        held = engine.resident_gib()
        return held is not None and machine.host.available_gib >= SPARE * held
    return on_devices(machine.devices, share_of(settings, platform))


def on_devices(devices: Iterable[Device], share: float) -> bool:
    """Whether each of them has that share of its memory free."""
    free = [(device.free_gib or 0.0) / device.memory_gib for device in devices]
    return bool(free) and min(free) >= share


def share_of(settings: EngineSettings, platform: Platform) -> float:
    """Of a device's memory that vLLM takes."""
    own = settings.platforms.get(platform)
    args: Mapping[str, object] = settings.args | (own.args if own else {})
    said = args.get("gpu-memory-utilization", UTILIZATION)
    return float(said) if isinstance(said, int | float) else UTILIZATION

"""An engine that wants an accelerator is not started where none can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from seekserve.engine.sight import require_accelerator
from seekserve.errors import ConfigError
from seekserve.plan.cards import Device
from seekserve.plan.detect import Machine
from seekserve.plan.host import Host

HOST = Host(8, 64.0, 60.0, "A processor", "x86_64", "avx512", 1)
BARE = Machine("cpu", (), HOST, "", ())


def unasked() -> Machine:
    raise AssertionError("a device's file says enough")


@pytest.mark.parametrize("name", ["nvidia0", "kfd", "davinci3", "accel0", "dxg", "dri/renderD128"])
def test_a_devices_file_is_enough(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    require_accelerator(tmp_path, unasked)


def test_a_card_that_a_tool_shows_is_enough(tmp_path: Path) -> None:
    card = Device("NVIDIA GeForce RTX 4090", 24.0, 23.0, 0)
    require_accelerator(tmp_path, lambda: Machine("cuda", (card,), HOST, "", ()))


def test_nothing_seen_says_how_to_give_a_container_one(tmp_path: Path) -> None:
    (tmp_path / "null").touch()
    with pytest.raises(ConfigError) as caught:
        require_accelerator(tmp_path, lambda: BARE)
    assert "none can be seen" in caught.value.message
    assert "--gpus all" in caught.value.todo and "nvidia.com/gpu" in caught.value.todo

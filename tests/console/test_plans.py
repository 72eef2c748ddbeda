"""What engines were planned to be, device by device, for tiers that are chosen for and those that are not."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from seekserve.config import Config, load, read_tier
from seekserve.console.plans import Plans, device, page
from seekserve.engine.address import Address
from seekserve.engine.engine import Snapshot
from seekserve.errors import Stopping
from seekserve.plan.catalog import load_catalog
from seekserve.plan.detect import Machine, detect
from seekserve.plan.ladder import climb
from seekserve.plan.planner import cluster_of
from seekserve.plan.wish import Plan, Wish
from tests.support import PATIENCE_S, until

SNAPSHOT = Snapshot("engine-0", Address(path="/x"), (), planned={"weights_gib": 1.0})


def demo(tmp_path: Path) -> Config:
    return load("demo", listen={}, state_dir=tmp_path)


def planned(gpu: str, tier: str) -> Plan:
    catalog = load_catalog()
    return climb(catalog, read_tier(tier), cluster_of(catalog, gpu, 1), Wish()).plan


def here() -> Machine:
    return detect()


def nowhere() -> Machine:
    raise AssertionError("what is planned needs no look")


def test_a_chosen_plan_is_told_device_by_device(tmp_path: Path) -> None:
    plan = planned("a100-80g:4", "enterprise")
    told = page(demo(tmp_path), plan, nowhere)
    each, devices = told["each"], told["each"]["devices"]
    assert len(devices) == 4 and each["verdict"] == "fits" and each["note"] == ""
    assert told["machine"] == plan.cluster.words and "4 x" in told["machine"]
    for one in devices:
        parts = [one[f"{part}_gib"] for part in ("weights", "overhead", "kv_cache", "free")]
        assert sum(parts) == pytest.approx(one["total_gib"], abs=0.05)
        assert min(parts) >= 0
    assert each["layout"].startswith("TP ") and each["context"] == plan.max_model_len
    assert "vllm serve" in each["command"]
    assert "--uds" not in each["command"]
    best = told["fits"][0]
    assert (
        best["verdict"] == "fits" and best["command"] == f"seekserve plan --model {best['model']}"
    )
    assert {one["verdict"] for one in told["fits"]} >= {"fits", "does_not_fit"}


def test_devices_that_are_left_out_are_empty() -> None:
    empty = device("card 3", 80.0, [])
    assert (empty["weights_gib"], empty["free_gib"]) == (0.0, 80.0)


def test_a_tier_written_by_hand_is_told_as_it_says(tmp_path: Path) -> None:
    config = demo(tmp_path)
    secret = {"HF_TOKEN": "hf_abc", "VLLM_API_KEY": "sk-123"}
    engine = config.tier.engine.model_copy(
        update={"env": secret, "args": config.tier.engine.args | {"api-key": "sk-456"}}
    )
    config = config.model_copy(update={"tier": config.tier.model_copy(update={"engine": engine})})
    told = page(config, None, here)
    each = told["each"]
    assert each["context"] == 2048 and each["concurrency"] > 1
    assert each["verdict"] is None and "names its model and flags itself" in each["note"]
    assert len(each["devices"]) == 1
    device = each["devices"][0]
    assert device["kv_cache_gib"] == 1.0 and 0 < device["weights_gib"] < 0.1
    assert device["total_gib"] > 0 and device["free_gib"] is None
    command = each["command"]
    assert "--max-model-len 2048" in command and "--served-model-name deepseek-demo" in command
    assert "--uds" not in command
    assert "--max-num-batched-tokens 2048" in command and "--api-key ..." in command
    assert "VLLM_CPU_KVCACHE_SPACE=1" in command and "HF_TOKEN=..." in command
    for hidden in ("hf_abc", "sk-123", "sk-456"):
        assert hidden not in command
    assert told["machine"] and told["fits"]


def test_an_attached_engine_says_so(tmp_path: Path) -> None:
    config = load(None, attach=("http://127.0.0.1:9",), listen={}, state_dir=tmp_path)
    told = page(config, None, nowhere)
    assert told["each"]["note"].startswith("It was started by somebody else")
    assert (told["machine"], told["fits"], told["each"]["devices"]) == (None, None, [])


async def test_it_is_made_once_for_a_configuration(tmp_path: Path) -> None:
    config, looks = demo(tmp_path), list[int]()

    def look() -> Machine:
        looks.append(1)
        return here()

    plans = Plans(look, lambda: None)
    told: list[dict[str, Any]] = await asyncio.gather(
        *(plans.told(config, [SNAPSHOT]) for _ in range(3))
    )
    assert told[0] == told[2] and len(looks) == 1
    engine = told[0]["engines"][0]
    assert (engine["name"], engine["planned"]) == ("engine-0", {"weights_gib": 1.0})
    plans.forget()
    await plans.told(config, [])
    assert len(looks) == 2


async def test_a_look_that_failed_is_taken_again(tmp_path: Path) -> None:
    looks = list[int]()

    def look() -> Machine:
        looks.append(1)
        if len(looks) == 1:
            raise OSError("not now")
        return here()

    plans = Plans(look, lambda: None)
    with pytest.raises(OSError, match="not now"):
        await plans.told(demo(tmp_path), [])
    assert (await plans.told(demo(tmp_path), []))["machine"]


async def test_a_stop_waits_for_no_tool(tmp_path: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    def hangs() -> Machine:
        begun.set()
        over.wait(PATIENCE_S)
        return here()

    plans = Plans(hangs, lambda: None)
    asked = asyncio.create_task(plans.told(demo(tmp_path), []))
    await until(begun.is_set)
    plans.end()
    with pytest.raises(Stopping):
        await asked
    over.set()

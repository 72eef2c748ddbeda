"""Tiers are ladders: every hardware a tier names reaches a rung, and the reasons are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seekserve.config import read_tier, tier_names
from seekserve.errors import Impossible
from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog
from seekserve.plan.commands import TEMPLATES
from seekserve.plan.ladder import Climb, climb
from seekserve.plan.wish import Wish
from seekserve.settings import Hardware, Prefer, Tier
from tests.plan import vllm_parser
from tests.plan.test_commands import PLUGINS

CATALOG = load_catalog()
TIERS = [tier for tier in map(read_tier, tier_names()) if tier.ladder]
NAMED = [(tier, hardware) for tier in TIERS for hardware in tier.hardware]


def climbed(tier: Tier, hardware: Hardware, prefer: Prefer | None = None) -> Climb:
    cluster = planner.cluster_of(
        CATALOG, f"{hardware.gpu}:{hardware.count}", hardware.nodes, hardware.memory_gib
    )
    return climb(CATALOG, tier, cluster, Wish(), prefer)


def test_the_tiers_there_are() -> None:
    assert {tier.tier for tier in TIERS} == {"cpu", "consumer", "enterprise", "flagship"}


@pytest.mark.parametrize(
    ("tier", "hardware"),
    NAMED,
    ids=lambda x: x.tier if isinstance(x, Tier) else f"{x.gpu}:{x.count}x{x.nodes}",
)
def test_every_hardware_reaches_a_rung(tier: Tier, hardware: Hardware) -> None:
    found = climbed(tier, hardware)
    assert found.plan.verdict == "fits"
    assert found.plan.max_model_len >= found.rung.context
    assert len(found.others) == tier.ladder.index(found.rung)
    assert (
        climbed(tier, hardware, "light").rung
        == [rung for rung in tier.ladder if _fits_alone(tier, rung, hardware)][-1]
    )


def _fits_alone(tier: Tier, rung: object, hardware: Hardware) -> bool:
    try:
        climbed(tier.model_copy(update={"ladder": (rung,)}), hardware)
    except Impossible:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "hardware", "model", "weights"),
    [
        ("consumer", Hardware(gpu="rtx-4060-ti-16g"), "r1-distill-qwen-7b", "int8"),
        ("consumer", Hardware(gpu="rtx-4090"), "r1-distill-qwen-32b", "int4"),
        ("consumer", Hardware(gpu="rtx-3060-ti"), "r1-distill-qwen-7b", "int4"),
        ("enterprise", Hardware(gpu="a100-80g"), "r1-distill-qwen-32b", "fp8"),
        ("enterprise", Hardware(gpu="rtx-4090", count=4), "r1-distill-qwen-32b", "fp8"),
        ("enterprise", Hardware(gpu="h100-80g", count=4), "deepseek-v4-flash-0731", "fp4fp8"),
        ("flagship", Hardware(gpu="a100-80g", count=8, nodes=2), "deepseek-v3.1-terminus", "fp8"),
        ("flagship", Hardware(gpu="h800-80g", count=8, nodes=2), "deepseek-v4-pro-0813", "fp4fp8"),
        ("flagship", Hardware(gpu="ascend-910c", count=16), "deepseek-v3.2", "w8a8-ascend"),
    ],
)
def test_the_rungs_people_ask_for(name: str, hardware: Hardware, model: str, weights: str) -> None:
    found = climbed(read_tier(name), hardware).plan
    assert (found.subject.name, found.weights) == (model, weights)


def test_the_light_rung_of_the_consumer_tier_is_the_small_one() -> None:
    for gpu in ("rtx-3090", "rtx-4090"):
        found = climbed(read_tier("consumer"), Hardware(gpu=gpu), "light")
        assert found.plan.subject.name == "r1-distill-qwen-1.5b"


def test_speed_takes_the_fastest_above_the_floor_and_says_what_else_fits() -> None:
    found = climbed(read_tier("enterprise"), Hardware(gpu="a100-80g"), "speed")
    bounds = [
        float(text.split("fits, at ")[1].split()[0]) for text in found.others if "fits, at" in text
    ]
    assert bounds
    assert found.plan.speed.decode_batch1 is not None
    assert found.plan.speed.decode_batch1 >= max(bounds)
    assert all("without speculation" in text for text in found.others if "fits, at" in text)


def test_speed_says_that_bounds_leave_out_drafters() -> None:
    found = climbed(read_tier("enterprise"), Hardware(gpu="h100-80g", count=4), "speed")
    assert "Taken for speed" in found.plan.reasons[-1]
    assert "without speculation" in found.plan.reasons[-1]
    drafts = any("but drafts tokens" in text for text in found.others)
    assert drafts or "drafter" in found.plan.reasons[-1]
    preferences: tuple[Prefer, ...] = ("quality", "light")
    for prefer in preferences:
        plain = climbed(read_tier("enterprise"), Hardware(gpu="h100-80g", count=4), prefer)
        assert not any("Taken for speed" in why for why in plain.plan.reasons)


def test_nothing_fits_and_every_rung_says_why() -> None:
    with pytest.raises(Impossible) as raised:
        climbed(read_tier("flagship"), Hardware(gpu="rtx-3060-12g"))
    assert raised.value.message.count("\n") == len(read_tier("flagship").ladder)


def rendered() -> list[tuple[str, ...]]:
    """The engines' commands of deploy/kubernetes, which are asked about here because asking takes long."""
    folder = Path(__file__).parents[2] / "deploy" / "kubernetes"
    found = []
    for path in folder.glob("*/engine.yaml"):
        for one in yaml.safe_load_all(path.read_text()):
            group = one["spec"].get("leaderWorkerTemplate", {})
            parts = ("leaderTemplate", "workerTemplate")
            templates = [group[part] for part in parts if part in group]
            templates += [one["spec"]["template"]] if "template" in one["spec"] else []
            found += [_here(t["spec"]["containers"][0]["command"]) for t in templates]
    assert len(found) >= 6
    return found


def _here(command: list[str]) -> tuple[str, ...]:
    """With this machine's templates: vLLM looks whether they are there."""
    return tuple(w.replace("/usr/share/seekserve/templates", str(TEMPLATES)) for w in command)


@pytest.mark.skipif(not vllm_parser.INSTALLED, reason="no vLLM here to ask")
def test_vllm_takes_the_command_of_every_rung_on_every_hardware(
    vllm: vllm_parser.Vllm,
) -> None:
    commands: list[tuple[str, ...]] = []
    names: set[str] = set()
    for tier, hardware in NAMED:
        for rung in tier.ladder:
            if _fits_alone(tier, rung, hardware):
                alone = tier.model_copy(update={"ladder": (rung,)})
                for command in climbed(alone, hardware).plan.commands:
                    commands.append(command.argv)
                    names |= command.env.keys()
    commands += rendered()
    answers = vllm.ask(commands, names)
    refused = {
        error: argv
        for argv, error in zip(commands, answers.errors, strict=True)
        if error not in {None, *PLUGINS}
    }
    assert len(commands) > len(NAMED)
    assert not refused
    assert not answers.unknown_env

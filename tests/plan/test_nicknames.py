"""What people type for a model or a card: one thing found, or the candidates told."""

from __future__ import annotations

import pytest

from seekserve.errors import Impossible, UnknownName
from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("32b", "r1-distill-qwen-32b"),
        ("1.5B", "r1-distill-qwen-1.5b"),
        ("70b", "r1-distill-llama-70b"),
        ("qwen 7b", "r1-distill-qwen-7b"),
        ("llama-8b", "r1-distill-llama-8b"),
        ("r1", "deepseek-r1"),
        ("r1 32b", "r1-distill-qwen-32b"),
        ("v3", "deepseek-v3"),
        ("DeepSeek V3.1", "deepseek-v3.1"),
        ("v4 flash", "deepseek-v4-flash"),
        ("speciale", "deepseek-v3.2-speciale"),
    ],
)
def test_a_part_of_a_name_finds_the_one_model_that_has_it(text: str, id_: str) -> None:
    assert planner.subject_of(CATALOG, text).name == id_


@pytest.mark.parametrize(
    ("text", "some", "count"),
    [
        ("v4", {"deepseek-v4-flash-0731", "deepseek-v4-pro"}, 9),
        ("671b", {"deepseek-r1", "deepseek-v3", "deepseek-v3.2"}, 9),
        ("8b", {"r1-distill-llama-8b", "r1-0528-qwen3-8b"}, 2),
        ("1.6T", {"deepseek-v4-pro"}, 4),
    ],
)
def test_what_several_models_have_lists_them(text: str, some: set[str], count: int) -> None:
    with pytest.raises(UnknownName) as raised:
        planner.subject_of(CATALOG, text)
    listed = raised.value.message.partition("models: ")[2].rstrip(".").split(", ")
    assert some <= set(listed) <= set(CATALOG.models)
    assert len(listed) == count and f"any of {count} models" in raised.value.message


@pytest.mark.parametrize("text", ["deepseek", "33b", "gpt-4", "nvidia", "qwen3-32b"])
def test_what_nobody_has_is_a_miss(text: str) -> None:
    with pytest.raises(UnknownName, match="There is no model called"):
        planner.subject_of(CATALOG, text)


def test_an_engines_own_name_is_never_guessed_at() -> None:
    with pytest.raises(UnknownName):
        CATALOG.model("llama-8b")


@pytest.mark.parametrize(
    ("text", "id_", "count"),
    [
        ("3090ti", "rtx-3090-ti", 1),
        ("4090 x4", "rtx-4090", 4),
        ("4090 x 4", "rtx-4090", 4),
        ("4090x4", "rtx-4090", 4),
        ("4x4090", "rtx-4090", 4),
        ("h100x8", "h100-80g", 8),
        ("h100*8", "h100-80g", 8),
        ("8 × H100", "h100-80g", 8),
        ("mi300x", "mi300x", 1),
        ("mi300x x8", "mi300x", 8),
        ("rtx 3080", "rtx-3080-10g", 1),
        ("RTX PRO 6000 x2", "rtx-pro-6000", 2),
        ("max 1550", "max-1550", 1),
    ],
)
def test_cards_and_counts_as_people_write_them(text: str, id_: str, count: int) -> None:
    found = planner.cluster_of(CATALOG, text)
    assert (found.accelerator.id, found.per_node) == (id_, count)


@pytest.mark.parametrize("text", ["cpu", "CPU:2", "processor"])
def test_a_processor_is_one_of_four_kinds(text: str) -> None:
    with pytest.raises(UnknownName) as raised:
        planner.cluster_of(CATALOG, text)
    for name in ("cpu-amx", "cpu-avx512", "cpu-avx2", "cpu-arm"):
        assert name in raised.value.message
    assert "--gpu-mem-gib" in raised.value.todo and "--platform cpu" in raised.value.todo


def test_what_several_cards_are_called_lists_them() -> None:
    with pytest.raises(UnknownName, match="any of 3 accelerators: tpu-v5e, tpu-v6e, tpu-v7"):
        planner.cluster_of(CATALOG, "tpu")


@pytest.mark.parametrize(
    "text", ["m3 ultra", "m4-max", "M2", "Mac Studio", "macbook pro", "Apple M1", "metal", "m3ultra"]
)  # fmt: skip
def test_apples_machines_are_told_what_to_do(text: str) -> None:
    with pytest.raises(Impossible, match="vLLM does not serve on Metal") as raised:
        planner.cluster_of(CATALOG, text)
    assert "llama.cpp" in raised.value.todo and "seekserve gpus" in raised.value.todo


@pytest.mark.parametrize("text", ["m40", "max 9999", "macaroni"])
def test_others_are_not_taken_for_apples(text: str) -> None:
    with pytest.raises(UnknownName):
        planner.cluster_of(CATALOG, text)

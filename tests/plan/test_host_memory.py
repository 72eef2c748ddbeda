"""A host processor's plans: its memory is not all the engine's, and its batches are a processor's."""

from __future__ import annotations

import pytest

from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog
from seekserve.plan.memory import GIB
from seekserve.plan.wish import Plan, Wish

CATALOG = load_catalog()


def planned(memory: float, model: str, wish: Wish = Wish(), count: int = 1) -> Plan:  # noqa: B008
    cluster = planner.cluster_of(CATALOG, f"cpu-avx512:{count}", 1, memory)
    return planner.plan(CATALOG, planner.subject_of(CATALOG, model), cluster, wish)


@pytest.mark.parametrize("memory", [16, 64, 128, 512, 2048])
def test_sequences_and_steps_are_those_of_a_processor_whatever_its_memory(memory: float) -> None:
    """vLLM 0.32, engine/arg_utils.py, get_batch_defaults: 128 and 2,048 for each rank on a CPU."""
    found = planned(memory, "r1-distill-qwen-1.5b")
    assert (found.max_num_seqs, found.max_num_batched_tokens) == (128, 2048)


def test_ranks_on_a_processor_count() -> None:
    found = planned(64, "r1-distill-qwen-7b", Wish(tp=2), count=2)
    assert (found.max_num_seqs, found.max_num_batched_tokens) == (256, 4096)


@pytest.mark.parametrize("memory", [32, 64, 128, 512, 2048])
@pytest.mark.parametrize("model", ["r1-distill-qwen-1.5b", "r1-distill-qwen-7b"])
def test_the_cache_leaves_half_of_the_rest_to_the_host(memory: float, model: str) -> None:
    found = planned(memory, model)
    room = 0.92 * memory * GIB - found.weights_bytes
    assert found.verdict == "fits"
    assert found.kv_bytes <= room / 2 + GIB
    assert found.kv_bytes <= (16 * 32768 * found.kv_bytes_per_token) + GIB
    assert found.kv_bytes % GIB == 0


def test_the_cap_is_said_and_how_to_lift_it() -> None:
    found = planned(512, "r1-distill-qwen-7b")
    told = next(why for why in found.reasons if "KV cache takes" in why)
    assert "28 of the 45" in told and "16 requests of 32,768 tokens" in told
    assert "VLLM_CPU_KVCACHE_SPACE" in told
    assert found.commands[0].env["VLLM_CPU_KVCACHE_SPACE"] == "28"


def test_one_comfortable_request_may_have_more_than_half() -> None:
    found = planned(32, "r1-distill-qwen-32b")
    assert (found.verdict, found.max_model_len) == ("fits", 32768)
    assert any("what one request needs" in why for why in found.reasons)


def test_a_length_that_is_asked_for_may_have_it_all() -> None:
    found = planned(128, "r1-distill-qwen-32b", Wish(max_model_len=131072))
    assert found.verdict == "fits"
    assert found.kv_bytes >= found.request_bytes


def test_cards_of_the_same_memory_keep_their_own_defaults() -> None:
    cluster = planner.cluster_of(CATALOG, "h100-80g")
    subject = planner.subject_of(CATALOG, "r1-distill-qwen-7b")
    found = planner.plan(CATALOG, subject, cluster, Wish())
    assert (found.max_num_seqs, found.max_num_batched_tokens) == (1024, 8192)

"""Sliding windows: which layers have one, and what a request then holds, as vLLM 0.32 itself sums it up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seekserve.errors import ConfigError
from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog
from seekserve.plan.formats import FORMATS
from seekserve.plan.kv import cache, read_bytes
from seekserve.plan.layout import Layout
from seekserve.plan.shape import Shape, read_shape
from seekserve.plan.wish import Plan, Subject, Wish

CATALOG = load_catalog()
PLAIN = {
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 32000,
    "intermediate_size": 4096,
    "max_position_embeddings": 131072,
}
MIXED = ["full_attention"] * 8 + ["sliding_attention"] * 9
GEMMA3 = {"num_hidden_layers": 62, "sliding_window": 1024, "sliding_window_pattern": 6}
ODD = {"num_hidden_layers": 17, "sliding_window": 512, "layer_types": MIXED}


def shape(kind: str, **fields: Any) -> Shape:
    return read_shape({**PLAIN, "architectures": [f"{kind}ForCausalLM"], **fields})


def planned(one: Shape, gpu: str = "h100-80g", wish: Wish = Wish()) -> Plan:  # noqa: B008
    subject = Subject("mine", one, one.max_len, None, {}, {"bf16": FORMATS["bf16"]}, folder="/m")
    memory = 128.0 if gpu.startswith("cpu") else None
    return planner.plan(CATALOG, subject, planner.cluster_of(CATALOG, gpu, 1, memory), wish)


@pytest.mark.parametrize(
    ("kind", "fields", "size", "layers"),
    [
        ("Gemma3", {"sliding_window": 1024}, 1024, 20),
        ("Gemma3", {"sliding_window": 1024, "sliding_window_pattern": 2}, 1024, 12),
        ("Gemma2", {}, 4096, 12),
        ("GptOss", {"num_local_experts": 32, "experts_per_token": 4}, 128, 12),
        ("Mistral", {}, 4096, 24),
        ("Mixtral", {"sliding_window": 4096}, 4096, 24),
        ("Phi3", {"sliding_window": 2047}, 2047, 24),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 512, "max_window_layers": 0}, 512, 24),
        ("Qwen3Moe", {"use_sliding_window": True, "sliding_window": 512}, 512, 24),
        ("Llama", ODD, 512, 9),
    ],
)  # fmt: skip
def test_layers_with_a_window(kind: str, fields: dict[str, Any], size: int, layers: int) -> None:
    found = shape(kind, **fields).window
    assert found is not None
    assert (found.size, len(found.layers)) == (size, layers)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Llama", {}),
        ("Mistral", {"sliding_window": None}),
        ("Mixtral", {}),
        ("Mixtral", {"sliding_window": 0}),
        ("Gemma", {}),
        ("Qwen2", {"use_sliding_window": False, "sliding_window": 131072, "max_window_layers": 0}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 512, "max_window_layers": 24}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 512, "max_window_layers": 12}),
        ("Llama", {"sliding_window": 512, "layer_types": ["full_attention"] * 24}),
    ],
)
def test_models_without_one(kind: str, fields: dict[str, Any]) -> None:
    assert shape(kind, **fields).window is None


def test_models_with_a_way_of_their_own_are_left_alone() -> None:
    for geometry in CATALOG.geometries.values():
        assert read_shape(geometry).window is None


@pytest.mark.parametrize(
    ("kind", "fields", "alone", "staged"),
    [
        ("Gemma3", GEMMA3, 4825415680, 1930166272),
        ("Gemma2", {"num_hidden_layers": 42}, 6518636544, 2172878848),
        ("GptOss", {}, 3627417600, 1209139200),
        ("Mistral", {"num_hidden_layers": 32}, 1343225856, 461733888),
        ("Llama", ODD, 2727641088, 1818427392),
    ],
)
def test_a_request_is_what_vllm_makes_of_it(
    kind: str, fields: dict[str, Any], alone: int, staged: int
) -> None:
    """131,072 tokens, 16,384 in flight, 16 bits, on one device and on the fullest of three stages: what
    get_kv_cache_groups and _max_memory_usage_bytes_from_groups of vLLM 0.32.0 said to these layers.
    """
    one = shape(kind, **fields)
    for layout, bytes_ in ((Layout(), alone), (Layout(pp=3), staged)):
        held = cache(one, "auto", layout).request(131072, 16384)
        assert held == pytest.approx(bytes_, rel=0.002)


def test_a_short_request_holds_all_of_itself() -> None:
    held = cache(shape("GptOss"), "auto", Layout())
    assert held.request(100, 4096) == 100 * 24 * 2 * 4 * 128 * 2


def test_decoding_reads_windows_alone_and_no_padding() -> None:
    one, layer = shape("Llama", **ODD), 2 * 4 * 128 * 2
    assert read_bytes(one, "auto", Layout(), 4096) == layer * (8 * 4096 + 9 * 512)
    assert read_bytes(one, "auto", Layout(), 256) == layer * 17 * 256


def test_more_context_fits_than_with_full_attention() -> None:
    one = shape("Gemma3", **GEMMA3)
    with_windows, without = planned(one), planned(replace(one, window=None))
    assert with_windows.max_concurrency > 2.5 * without.max_concurrency
    assert any("52 of 62 layers attend to 1,024 tokens" in why for why in with_windows.reasons)
    assert not any("layers attend" in why for why in without.reasons)


def test_the_longest_context_is_found_with_windows() -> None:
    one = shape("Gemma3", **GEMMA3, intermediate_size=14336)
    found = planned(one, "rtx-4060-ti-16g", Wish(max_num_seqs=16))
    assert found.verdict == "fits"
    assert 0 < found.max_model_len < 131072
    again = planned(
        one, "rtx-4060-ti-16g", Wish(max_num_seqs=16, max_model_len=found.max_model_len)
    )
    assert again.verdict == "fits"
    longer = found.max_model_len + 4096
    assert (
        planned(one, "rtx-4060-ti-16g", Wish(max_num_seqs=16, max_model_len=longer)).verdict
        != "fits"
    )


@pytest.mark.parametrize(
    ("gpu", "wish"), [("ascend-910b", Wish()), ("h100-80g", Wish(version=(0, 9)))]
)
def test_where_windows_are_not_known_to_be_apart_it_is_an_upper_bound(gpu: str, wish: Wish) -> None:
    one = shape("Gemma3", **GEMMA3)
    found = planned(one, gpu, wish)
    assert found.kv_bytes_per_token == cache(replace(one, window=None), "auto", Layout()).per_token
    assert any("counted as full attention, an upper bound" in why for why in found.reasons)


def test_every_layer_windowed_is_a_request_that_stops_growing() -> None:
    found = planned(shape("Mistral"), wish=Wish(max_model_len=131072))
    shorter = planned(shape("Mistral"), wish=Wish(max_model_len=65536))
    assert found.request_bytes == shorter.request_bytes
    assert found.kv_bytes_per_token == 24 * 2 * 4 * 128 * 2


def test_context_parallelism_cannot_split_windows() -> None:
    found = planned(shape("GptOss"), "h100-80g:8", Wish(tp=8, dcp=2))
    assert found.verdict == "does_not_fit"
    assert "--dcp 2 cannot split the cache of layers with a sliding window" in found.reasons[0]


def test_too_few_layer_types_are_named() -> None:
    with pytest.raises(ConfigError, match="layer_types for layer 1"):
        shape("Llama", sliding_window=512, layer_types=["sliding_attention"])

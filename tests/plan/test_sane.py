"""A config.json that cannot be: the complaint names the field that is wrong, as the file calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seekserve.errors import ConfigError
from seekserve.plan.catalog import load_catalog
from seekserve.plan.sane import read_sane

GEOMETRIES = load_catalog().geometries
MEASURED = sorted((Path(__file__).parent / "measured").glob("*.json"))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_real_models_are_sane(name: str) -> None:
    assert read_sane(GEOMETRIES[name]).layers > 0


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_real_files_are_sane(path: Path) -> None:
    assert read_sane(json.loads(path.read_text())).layers > 0


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("deepseek-v3", {"num_experts_per_tok": 512}, "num_experts_per_tok 512, where a model has 1 to 256 "
         "(n_routed_experts)"),
        ("deepseek-v3", {"n_routed_experts": 4}, "num_experts_per_tok 8, where a model has 1 to 4 "
         "(n_routed_experts)"),
        ("deepseek-v3", {"num_experts_per_tok": 0}, "num_experts_per_tok 0"),
        ("deepseek-v3", {"first_k_dense_replace": 99}, "first_k_dense_replace 99, where a model has 0 to 61 "
         "(num_hidden_layers)"),
        ("deepseek-v3", {"first_k_dense_replace": -1}, "first_k_dense_replace -1"),
        ("deepseek-v3", {"n_shared_experts": -1}, "n_shared_experts -1"),
        ("deepseek-v3", {"moe_intermediate_size": -7}, "moe_intermediate_size -7"),
        ("deepseek-v3", {"moe_intermediate_size": None, "intermediate_size": 0}, "intermediate_size 0"),
        ("deepseek-v3", {"v_head_dim": 0}, "v_head_dim 0"),
        ("deepseek-v32", {"index_topk": -4}, "index_topk -4"),
        ("deepseek-v32", {"index_n_heads": 0}, "index_n_heads 0"),
        ("deepseek-v4-flash", {"o_groups": 0}, "o_groups 0"),
        ("deepseek-v4-flash", {"num_hidden_layers": 50}, "num_hidden_layers 50, where a model has 1 to 44 "
         "(entries of compress_ratios)"),
        ("qwen2-7b", {"num_attention_heads": 0}, "num_attention_heads 0"),
        ("qwen2-7b", {"num_hidden_layers": 10**8}, "num_hidden_layers 100,000,000, where a model has 1 to "
         "10,000"),
        ("qwen2-7b", {"num_key_value_heads": 64}, "num_key_value_heads 64, where a model has 1 to 28 "
         "(num_attention_heads)"),
        ("qwen2-7b", {"hidden_size": 5, "head_dim": None}, "num_attention_heads 28, where a model has 1 to 5 "
         "(hidden_size)"),
        ("qwen2-7b", {"hidden_size": "many"}, "hidden_size 'many', which is no whole number"),
        ("qwen2-7b", {"hidden_size": [1]}, "hidden_size '[1]'"),
        ("qwen2-7b", {"hidden_size": True}, "hidden_size 'True'"),
        ("qwen2-7b", {"vocab_size": 10**30}, "vocab_size 1,000"),
        ("qwen2-7b", {"vocab_size": 1.5}, "vocab_size '1.5'"),
        ("qwen2-7b", {"intermediate_size": 0}, "intermediate_size 0"),
        ("qwen2-7b", {"max_position_embeddings": -3}, "max_position_embeddings -3"),
        ("qwen2-7b", {"use_sliding_window": True, "sliding_window": -1}, "sliding_window -1"),
    ],
)  # fmt: skip
def test_the_wrong_field_is_named(name: str, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_sane({**GEOMETRIES[name], **wrong})
    assert f"says {said}" in raised.value.message
    assert raised.value.todo


def test_whole_numbers_may_be_floats() -> None:
    assert read_sane({**GEOMETRIES["qwen2-7b"], "vocab_size": 152064.0}).vocab == 152064

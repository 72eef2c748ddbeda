"""What ships: small, complete, and with the fields that vLLM needs and transformers forgets."""

import json
from typing import Any

import pytest

from seekserve.demo import MODEL_DIR


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MODEL_DIR / "config.json").read_text())
    return found


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in MODEL_DIR.iterdir())
    assert size <= 10_000_000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architectures", ["DeepseekV3ForCausalLM"]),
        ("model_type", "deepseek_v3"),
        ("topk_method", "noaux_tc"),
        ("scoring_func", "sigmoid"),
        ("kv_lora_rank", 512),
        ("qk_rope_head_dim", 64),
        ("n_shared_experts", 1),
        ("num_nextn_predict_layers", 0),
        ("bos_token_id", 0),
        ("eos_token_id", 1),
    ],
)
def test_the_config_says(config: dict[str, Any], key: str, value: object) -> None:
    assert config[key] == value


def test_each_expert_has_its_own_weights(config: dict[str, Any]) -> None:
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(MODEL_DIR / "model.safetensors", "np") as file:
        names = set(file.keys())
    for layer in range(config["first_k_dense_replace"], config["num_hidden_layers"]):
        assert f"model.layers.{layer}.mlp.gate.e_score_correction_bias" in names
        for expert in range(config["n_routed_experts"]):
            assert f"model.layers.{layer}.mlp.experts.{expert}.up_proj.weight" in names


def test_the_template_shipped_is_the_one_in_the_source() -> None:
    source = MODEL_DIR.parent / "template.jinja"
    assert (MODEL_DIR / "chat_template.jinja").read_text() == source.read_text()

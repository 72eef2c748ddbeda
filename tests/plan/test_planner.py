"""What the planner decides, for the hardware people have. Facts from vLLM's code and DeepSeek's cards."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from seekserve.errors import ConfigError, Impossible, UnknownName
from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog
from seekserve.plan.detect import Device, Host, Machine
from seekserve.plan.memory import GIB, judge
from seekserve.plan.wish import Plan, Wish

CATALOG = load_catalog()


def planned(gpu: str, model: str, wish: Wish = Wish(), nodes: int = 1) -> Plan:  # noqa: B008
    cluster = planner.cluster_of(CATALOG, gpu, nodes)
    return planner.plan(CATALOG, planner.subject_of(CATALOG, model), cluster, wish)


def test_r1_on_two_nodes_of_eight_a100() -> None:
    """FP8 through weight-only kernels, a 16-bit cache, stages over nodes."""
    found = planned("a100-80g:8", "deepseek-r1", nodes=2)
    assert (found.verdict, found.weights, found.kv_cache_dtype) == ("fits", "fp8", "auto")
    assert (found.layout.tp, found.layout.pp, found.layout.dp) == (8, 2, 1)
    assert any("unpacked to 16 bits" in reason for reason in found.reasons)
    assert found.max_model_len == 163_840
    assert 35 < found.weights_bytes / GIB < 45


def test_671b_in_bf16_does_not_fit_sixteen_cards_of_80_gb() -> None:
    found = planned("a100-80g:8", "deepseek-r1", Wish(weights="bf16"), nodes=2)
    assert found.verdict == "does_not_fit"
    assert "fp8" in found.advice[0]


@pytest.mark.parametrize("model", ["deepseek-v3.2", "deepseek-v4-flash", "deepseek-v4.1-flash"])
@pytest.mark.parametrize("gpu", ["a100-80g:8", "rtx-4090:8", "rtx-3090:8", "l40s:8"])
def test_sparse_attention_is_refused_on_ampere_and_ada(gpu: str, model: str) -> None:
    found = planned(gpu, model)
    assert found.verdict == "does_not_fit"
    assert "sparse attention kernels start at Hopper" in found.reasons[0]
    assert found.advice, "something else fits eight cards"


def test_fp8_cache_for_mla_is_refused_below_ada() -> None:
    with pytest.raises(Impossible, match="newer silicon"):
        planned("a100-80g:8", "deepseek-r1", Wish(kv_cache_dtype="fp8"), nodes=2)


@pytest.mark.parametrize(
    ("gpu", "model", "dtype"),
    [
        ("a100-80g", "r1-distill-qwen-7b", "float32"),
        ("t4", "r1-distill-qwen-1.5b", "nvfp4"),
        ("mi300x", "r1-distill-qwen-7b", "nvfp4"),
        ("h200:8", "deepseek-r1", "nvfp4"),
        ("b200:8", "deepseek-r1", "nvfp4"),
        ("h200:8", "deepseek-v3.2", "nvfp4_ds_mla"),
    ],
)
def test_a_cache_that_vllm_does_not_keep_there_is_refused(gpu: str, model: str, dtype: str) -> None:
    with pytest.raises(Impossible, match=f"vLLM .* KV cache in {dtype}|no {dtype} KV cache"):
        planned(gpu, model, Wish(kv_cache_dtype=dtype))


@pytest.mark.parametrize(
    ("gpu", "model", "dtype"),
    [
        ("a100-80g", "r1-distill-qwen-7b", "nvfp4"),
        ("b200:8", "r1-distill-qwen-7b", "nvfp4"),
        ("b200:8", "deepseek-v3.2", "nvfp4_ds_mla"),
    ],
)
def test_an_nvfp4_cache_where_vllm_reads_it(gpu: str, model: str, dtype: str) -> None:
    assert planned(gpu, model, Wish(kv_cache_dtype=dtype)).verdict == "fits"


def test_a_cache_in_bf16_has_vllms_own_name() -> None:
    found = planned("h100-80g", "r1-distill-qwen-7b", Wish(kv_cache_dtype="bf16"))
    assert found.kv_cache_dtype == "bfloat16"
    argv = found.commands[0].argv
    assert argv[argv.index("--kv-cache-dtype") + 1] == "bfloat16"


def test_mla_context_does_not_grow_with_tp() -> None:
    def tokens(tp: int) -> float:
        wish = Wish(weights="awq", tp=tp, max_model_len=8192)
        found = planned(f"h200:{tp}", "deepseek-r1", wish)
        return found.kv_bytes_per_token

    assert tokens(4) == tokens(8) == 70_272


def test_gqa_cache_shrinks_with_tp_until_a_head_is_left() -> None:
    def bytes_per_token(tp: int) -> float:
        wish = Wish(weights="bf16", tp=tp, max_model_len=8192)
        return planned(f"h100-80g:{tp}", "r1-distill-qwen-32b", wish).kv_bytes_per_token

    assert [bytes_per_token(tp) for tp in (1, 2, 4, 8)] == [262144, 131072, 65536, 32768]


def test_v4_pro_over_sixteen_data_parallel_ranks_does_not_fit_h800() -> None:
    found = planned("h800-80g:8", "deepseek-v4-pro", Wish(tp=1, dp=16, ep=True), nodes=2)
    assert found.verdict == "does_not_fit"
    assert planned("h800-80g:8", "deepseek-v4-pro", nodes=2).verdict == "fits"


def test_heads_decide_tp() -> None:
    assert planned("rtx-4090:8", "r1-distill-qwen-7b").layout.tp == 4  # 28 heads
    assert planned("rtx-4090:8", "r1-distill-qwen-1.5b").layout.tp in (2, 4)  # 12 heads, 2 KV heads
    found = planned("rtx-4090:8", "r1-distill-qwen-7b", Wish(tp=8))
    assert found.verdict == "does_not_fit"
    assert "28 attention heads do not divide by TP 8" in found.reasons[0]


def test_7b_in_eight_bits_is_more_than_eight_gb() -> None:
    """Often quoted as 4.2 GB, which is four bits."""
    eight = planned("rtx-4060-ti-16g", "r1-distill-qwen-7b", Wish(weights="int8"))
    four = planned("rtx-4060-ti-16g", "r1-distill-qwen-7b", Wish(weights="int4"))
    assert 8.5e9 < eight.weights_bytes < 8.9e9
    assert 5.3e9 < four.weights_bytes < 5.8e9
    assert eight.verdict == "fits"


def test_a_misfit_shows_its_sum_and_what_fits() -> None:
    found = planned("rtx-3060-12g", "r1-distill-qwen-14b", Wish(weights="bf16"))
    assert found.verdict == "does_not_fit"
    assert "GiB of weights" in found.reasons[0]
    assert any("int4" in tip for tip in found.advice)
    assert any("2 x NVIDIA GeForce RTX 3060" in tip or "4 x" in tip for tip in found.advice)


def test_the_drafter_is_left_out_before_the_model_is() -> None:
    roomy = planned("h100-80g:8", "deepseek-v4-flash-0731")
    assert roomy.drafting
    assert not planned("h100-80g:8", "deepseek-v4-flash-0731", Wish(speculate=False)).drafting
    close = planned(
        "h20-96g:2", "deepseek-v4-flash-0731", Wish(max_model_len=121_344, max_num_seqs=32)
    )
    assert close.verdict == "fits"
    assert not close.drafting


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("4090", "rtx-4090"),
        ("RTX 4090", "rtx-4090"),
        ("rtx4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("A100-80G", "a100-80g"),
        ("a100 80g", "a100-80g"),
        ("H100", "h100-80g"),
        ("mi300x", "mi300x"),
        ("AMD Instinct MI300X", "mi300x"),
        ("Ascend 910C", "ascend-910c"),
        ("4060 ti 16g", "rtx-4060-ti-16g"),
        ("RTX PRO 6000", "rtx-pro-6000"),
    ],
)
def test_accelerators_answer_to_many_names(text: str, id_: str) -> None:
    assert planner.cluster_of(CATALOG, text).accelerator.id == id_


def test_every_id_and_name_of_the_catalog_finds_its_own() -> None:
    for model in CATALOG.models.values():
        for name in (model.id, model.repo, model.name, *(v.repo for v in model.weights.values())):
            assert CATALOG.model(name).id == model.id, name
    for accelerator in CATALOG.accelerators.values():
        assert CATALOG.accelerator(accelerator.id).id == accelerator.id


def test_a_miss_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="rtx-4090"):
        planner.cluster_of(CATALOG, "rtx-4091")
    with pytest.raises(UnknownName, match="deepseek-r1"):
        planner.subject_of(CATALOG, "deepseek-r11")
    with pytest.raises(UnknownName) as raised:
        planner.subject_of(CATALOG, "someone/another-model-13b")
    assert "config.json" in raised.value.todo


def test_a_generic_card_wants_its_memory() -> None:
    with pytest.raises(Impossible) as raised:
        planner.cluster_of(CATALOG, "generic:2")
    assert "--gpu-mem-gib" in raised.value.todo
    found = planner.cluster_of(CATALOG, "generic:2", 1, 48, 900)
    assert (found.memory_gib, found.accelerator.bandwidth_gbs, found.gpus) == (48, 900, 2)


@pytest.mark.parametrize("gpu", ["rtx-4090:0", "rtx-4090:-1", "rtx-4090:x", "rtx-4090:99999"])
def test_a_number_of_cards_is_a_number(gpu: str) -> None:
    with pytest.raises(Impossible):
        planner.cluster_of(CATALOG, gpu)


def test_a_config_json_is_read(tmp_path: Path) -> None:
    geometry = CATALOG.geometries["qwen2-7b"]
    (tmp_path / "config.json").write_text(json.dumps(geometry))
    for path in (tmp_path, tmp_path / "config.json"):
        subject = planner.subject_of(CATALOG, str(path))
        cluster = planner.cluster_of(CATALOG, "rtx-4090")
        found = planner.plan(CATALOG, subject, cluster, Wish(max_model_len=16384))
        known = planned("rtx-4090", "r1-distill-qwen-7b", Wish(weights="bf16", max_model_len=16384))
        assert found.weights_bytes == known.weights_bytes
        assert found.kv_tokens == known.kv_tokens


@pytest.mark.parametrize("text", ["{", "[]", '{"hidden_size": 1}', ""])
def test_a_broken_config_json_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        planner.subject_of(CATALOG, str(path))


def test_too_many_ranks_are_impossible() -> None:
    with pytest.raises(Impossible, match="32 devices; there are 16"):
        planned("a100-80g:8", "deepseek-r1", Wish(tp=8, pp=4), nodes=2)


def test_cards_of_two_dies_are_two_devices() -> None:
    by_card = planned("ascend-910c:8", "deepseek-r1", Wish(tp=16, weights="w8a8"))
    by_die = planned("ascend-910c:16", "deepseek-r1", Wish(tp=16, weights="int8"))
    assert by_card.layout.tp == by_die.layout.tp == 16
    assert by_card.weights_bytes == by_die.weights_bytes


@pytest.mark.parametrize("weights", ["w4a16", "W8A8", "nf4", "awq4", "fp8_e4m3", "float16", "fp4"])
def test_formats_answer_to_many_names(weights: str) -> None:
    wish = Wish(weights=weights, max_model_len=8192)
    assert planned("h100-80g", "r1-distill-qwen-7b", wish).verdict == "fits"


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(Impossible) as raised:
        planned("h100-80g", "r1-distill-qwen-7b", Wish(weights="q4_k_m"))
    assert "int4" in raised.value.todo


def test_an_old_version_is_told() -> None:
    found = planned("h200:8", "deepseek-v4-pro", Wish(version=(0, 9)))
    assert found.verdict == "does_not_fit"
    assert found.reasons[0] == (
        "deepseek-v4-pro needs vLLM 0.20 or newer on NVIDIA CUDA; 0.9 was given."
    )


def test_a_platform_whose_own_vllm_is_too_old_says_so() -> None:
    cluster = planner.cluster_of(CATALOG, "ascend-910c:16")
    old = cluster.platform.model_copy(update={"vllm": "0.9.1"})
    subject = planner.subject_of(CATALOG, "deepseek-v3.2")
    found = planner.plan(CATALOG, subject, replace(cluster, platform=old), Wish())
    assert "0.9 is what runs there" in found.reasons[0]


@pytest.mark.parametrize(
    ("available", "needed", "unsure", "verdict"),
    [
        (11.01, 10, 0.5, "fits"),
        (10.99, 10, 0.5, "tight"),
        (11.5, 10, 2, "tight"),
        (9.01, 10, 0.5, "tight"),
        (8.99, 10, 0.5, "does_not_fit"),
        (8.0, 10, 2.5, "tight"),
        (-5, 10, 0.5, "does_not_fit"),
    ],
)
def test_the_line(available: float, needed: float, unsure: float, verdict: str) -> None:
    assert judge(available, needed, unsure) == verdict


def test_this_machine_becomes_a_cluster() -> None:
    host = Host(8, 64, 60, "Some CPU", "x86_64", "avx512", 1)
    cards = tuple(Device("NVIDIA GeForce RTX 4090", 23.99, 23.0, i) for i in range(2))
    found = planner.cluster_here(CATALOG, Machine("cuda", cards, host, "", ()))
    assert (found.accelerator.id, found.per_node) == ("rtx-4090", 2)
    assert found.memory_gib == CATALOG.accelerators["rtx-4090"].memory_gib
    alone = planner.cluster_here(CATALOG, Machine("cpu", (), host, "", ()))
    assert (alone.platform.id, alone.memory_gib) == ("cpu", 60), "what others hold is not ours"


def test_the_survey_has_every_model_and_the_best_first() -> None:
    plans = planner.survey(CATALOG, planner.cluster_of(CATALOG, "rtx-4090"), Wish())
    assert len(plans) == sum(model.kind != "base" for model in CATALOG.models.values())
    assert plans[0].verdict == "fits"
    assert plans[-1].verdict == "does_not_fit"
    assert all(plan.reasons for plan in plans if plan.verdict != "fits")


def config_of(tmp_path: Path, **fields: object) -> str:
    plain = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
    }
    (tmp_path / "config.json").write_text(json.dumps(plain | fields))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("fields", "gib"),
    [
        (
            {
                "architectures": ["MixtralForCausalLM"],
                "num_local_experts": 8,
                "num_experts_per_tok": 2,
            },
            87,
        ),
        (
            {
                "architectures": ["Qwen3MoeForCausalLM"],
                "hidden_size": 2048,
                "num_hidden_layers": 48,
                "num_key_value_heads": 4,
                "head_dim": 128,
                "num_experts": 128,
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 768,
                "intermediate_size": 6144,
                "vocab_size": 151936,
            },
            57,
        ),
    ],
)
def test_experts_are_counted_whatever_they_are_called(
    tmp_path: Path, fields: dict[str, object], gib: float
) -> None:
    found = planned("h200:2", config_of(tmp_path, **fields), Wish(tp=1, max_model_len=4096))
    assert found.weights_bytes / GIB == pytest.approx(gib, rel=0.02)


@pytest.mark.parametrize(
    "fields",
    [
        {"architectures": ["MambaForCausalLM"]},
        {"architectures": ["Qwen3NextForCausalLM"]},
        {"num_attention_heads": 0},
        {"num_hidden_layers": -1},
        {"vocab_size": 10**30},
        {"hidden_size": "many"},
        {"hidden_size": [1]},
        {"num_hidden_layers": 10**8},
    ],
)
def test_what_cannot_be_sized_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as raised:
        planner.subject_of(CATALOG, config_of(tmp_path, **fields))
    assert raised.value.todo


@pytest.mark.parametrize(
    ("quantization", "name"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bnb"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "g": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}
                },
            },
            "int4",
        ),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
    ],
)
def test_a_checkpoints_own_quantisation_is_read(
    tmp_path: Path, quantization: dict[str, object], name: str
) -> None:
    folder = config_of(tmp_path, quantization_config=quantization)
    assert list(planner.subject_of(CATALOG, folder).formats) == [name]


def test_an_unknown_quantisation_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(Impossible):
        planner.subject_of(
            CATALOG, config_of(tmp_path, quantization_config={"quant_method": "gguf"})
        )


def test_the_command_names_the_folder_that_was_planned(tmp_path: Path) -> None:
    folder = config_of(tmp_path)
    found = planned("h100-80g", folder)
    assert found.commands[0].argv[:3] == ("vllm", "serve", folder)
    assert planned("h100-80g", folder, Wish(weights="fp8")).commands == ()


def test_a_format_nobody_published_has_no_command() -> None:
    found = planned("rtx-4090", "r1-distill-qwen-7b", Wish(weights="nvfp4"))
    assert found.commands == ()
    assert any("No checkpoint" in reason for reason in found.reasons)
    assert found.weights_bytes < 6.5 * GIB
    with pytest.raises(Impossible, match="Ascend"):
        planned("h100-80g:8", "deepseek-r1", Wish(weights="w8a8-ascend"))


def test_a_quantised_repository_is_planned_as_itself() -> None:
    repo = "RedHatAI/DeepSeek-R1-Distill-Qwen-7B-quantized.w4a16"
    found = planned("rtx-4090", repo)
    assert found.weights == "int4"
    assert repo in found.commands[0].argv


def test_a_context_beyond_the_models_own_is_refused() -> None:
    found = planned("h200", "r1-distill-qwen-7b", Wish(max_model_len=500_000))
    assert found.verdict == "does_not_fit"
    assert "131,072" in found.reasons[0]


def test_a_card_nobody_knows_is_planned_by_its_memory() -> None:
    host = Host(8, 64, 60, "Some CPU", "x86_64", "avx512", 1)
    card = Device("NVIDIA GeForce RTX 4070 Laptop GPU", 7.6, 7.5, 0)
    found = planner.cluster_here(CATALOG, Machine("cuda", (card,), host, "", ()))
    assert found.memory_gib == 7.6
    assert "not in the catalog" in found.accelerator.name
    subject = planner.subject_of(CATALOG, "r1-distill-qwen-1.5b")
    assert planner.plan(CATALOG, subject, found, Wish()).verdict == "fits"


def test_memory_in_use_lowers_the_share() -> None:
    host = Host(8, 64, 60, "Some CPU", "x86_64", "avx512", 1)
    card = Device("NVIDIA GeForce RTX 4090", 24.0, 18.0, 0)
    found = planner.cluster_here(CATALOG, Machine("cuda", (card,), host, "", ()))
    subject = planner.subject_of(CATALOG, "r1-distill-qwen-7b")
    answer = planner.plan(CATALOG, subject, found, Wish())
    assert answer.utilization == 0.73
    assert any("0.73" in reason for reason in answer.reasons)


@pytest.mark.parametrize("text", ["2x3090", "2 x 3090", "rtx-3090:2", "2*RTX 3090"])
def test_counts_come_in_many_forms(text: str) -> None:
    found = planner.cluster_of(CATALOG, text)
    assert (found.accelerator.id, found.per_node) == ("rtx-3090", 2)


def test_a_full_card_is_not_an_empty_one() -> None:
    host = Host(8, 64, 60, "Some CPU", "x86_64", "avx512", 1)
    card = Device("NVIDIA GeForce RTX 4090", 24.0, 0.0, 0)
    with pytest.raises(Impossible, match="100%"):
        planner.cluster_here(CATALOG, Machine("cuda", (card,), host, "", ()))


@pytest.mark.parametrize("dcp", [7, 2])
def test_context_parallelism_must_divide(dcp: int) -> None:
    found = planned("rtx-4090:4", "r1-distill-qwen-32b", Wish(tp=4, dcp=dcp))
    assert found.verdict == "does_not_fit"
    assert "--dcp" in found.reasons[0]


def test_a_step_holds_its_sequences() -> None:
    with pytest.raises(Impossible, match="cannot hold"):
        planned("rtx-4090", "r1-distill-qwen-7b", Wish(max_num_batched_tokens=7))


def test_mixed_cards_and_foreign_platforms_are_refused() -> None:
    with pytest.raises(Impossible, match="different cards"):
        planner.cluster_of(CATALOG, "4090:2,3090:2")
    with pytest.raises(Impossible, match="does not run on"):
        planner.cluster_of(CATALOG, "4090", platform="rocm")


MISFITS = (
    ("rtx-3060-12g", "r1-distill-qwen-14b", Wish(), 1),
    ("rtx-4090:4", "r1-distill-qwen-32b", Wish(tp=3), 1),
    ("rtx-4090:8", "deepseek-r1", Wish(), 2),
    ("a100-80g:8", "deepseek-v3.2", Wish(), 1),
    ("rtx-4090", "r1-distill-qwen-7b", Wish(weights="bf16", max_model_len=131072), 1),
)


@pytest.mark.parametrize(("gpu", "model", "wish", "nodes"), MISFITS)
def test_flags_that_are_advised_do_make_it_fit(
    gpu: str, model: str, wish: Wish, nodes: int
) -> None:
    found = planned(gpu, model, wish, nodes)
    assert found.verdict != "fits"
    for tip in found.advice:
        if length := re.search(r"--max-model-len (\d+)", tip):
            again = planned(gpu, model, replace(wish, max_model_len=int(length[1])), nodes)
            assert again.verdict == "fits", tip
        if count := re.search(r"--max-num-seqs (\d+)", tip):
            again = planned(gpu, model, replace(wish, max_num_seqs=int(count[1])), nodes)
            assert again.verdict == "fits", tip
    if found.verdict == "does_not_fit":
        assert found.advice


def test_another_model_is_a_near_one() -> None:
    found = planned("a100-80g:8", "deepseek-v3.2")
    assert any("deepseek-v3.1" in tip or "deepseek-r1" in tip for tip in found.advice)
    assert any(
        "TP 4" in tip for tip in planned("rtx-4090:4", "r1-distill-qwen-32b", Wish(tp=3)).advice
    )

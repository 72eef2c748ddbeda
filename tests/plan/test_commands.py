"""Plan -> argv and environment of each node, and what the installed vLLM's own parser says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.commands import RAY_HEAD, node_commands
from seekserve.plan.formats import read_format
from seekserve.plan.layout import Layout
from seekserve.plan.shape import read_shape
from seekserve.plan.version import read_version
from seekserve.plan.wish import Cluster, NodeCommand, Plan, Subject
from tests.plan import vllm_parser

CATALOG = load_catalog()
V4_FLASH, V41 = "deepseek-v4-flash-0731", "deepseek-v4.1-flash"
# Variables that recipes and articles still name and vLLM 0.32 no longer reads: the control.
GONE = {
    "VLLM_ATTENTION_BACKEND",
    "VLLM_ALL2ALL_BACKEND",
    "VLLM_USE_FLASHINFER_MOE_FP8",
    "VLLM_USE_FLASHINFER_MOE_FP4",
    "VLLM_FLASHINFER_MOE_BACKEND",
    "VLLM_MOE_DP_CHUNK_SIZE",
    "VLLM_TEST_FORCE_FP8_MARLIN",
    "VLLM_USE_V1",
}


def plan(model: str, device: str, layout: Layout | None = None, **more: Any) -> Plan:
    """A plan as the planner would write it, without asking whether it fits."""
    entry, accelerator = CATALOG.models[model], CATALOG.accelerators[device]
    platform = CATALOG.platforms[accelerator.platform]
    family, here = CATALOG.families[entry.family], entry.platforms.get(platform.id)
    layout = layout or Layout()
    speculative = entry.speculative or family.speculative
    if here and "speculative" in here.model_fields_set:
        speculative = here.speculative
    subject = Subject(
        name=entry.id,
        shape=read_shape(CATALOG.geometries[entry.geometry]),
        context=entry.context,
        family=family,
        variants=entry.weights,
        formats={name: read_format(name) for name in entry.weights},
        platform_args=here.args if here else {},
        speculative=speculative,
        host_gib=(entry.engram_host_gb or 0) / 1.074,
    )
    each = layout.gpus // layout.nodes
    weights = (here.weights if here else None) or next(iter(entry.weights))
    built = Plan(
        verdict="fits",
        subject=subject,
        cluster=Cluster(accelerator, platform, each, layout.nodes, accelerator.memory_gib or 64.0),
        weights=weights,
        kv_cache_dtype="auto",
        layout=layout,
        utilization=platform.utilization,
        weights_bytes=16e9,
        overhead=None,
        kv_bytes=20.7 * 2**30,
        kv_bytes_per_token=57344,
        request_bytes=57344 * 32768,
        max_model_len=32768,
        max_num_seqs=256,
        max_num_batched_tokens=8192,
        enforce_eager=False,
        drafting=False,
        version=read_version(platform.vllm or "0.32"),
    )
    return replace(built, **more)


def flag(command: NodeCommand, name: str) -> str | None:
    """The word after --name; "" for a bare flag that is the last; None where it is not said."""
    if f"--{name}" not in command.argv:
        return None
    assert command.argv.count(f"--{name}") == 1, name
    after = command.argv[command.argv.index(f"--{name}") + 1 :]
    return after[0] if after and not after[0].startswith("--") else ""


def commands(built: Plan, **how: Any) -> tuple[NodeCommand, ...]:
    return node_commands(built, CATALOG, **how)


def one(built: Plan, **how: Any) -> NodeCommand:
    (command,) = commands(built, **how)
    return command


def test_one_card_serves_the_repository_of_the_chosen_weights() -> None:
    command = one(plan("r1-distill-qwen-7b", "rtx-4090", weights="fp8"), uds="/run/e.sock")
    repo = "RedHatAI/DeepSeek-R1-Distill-Qwen-7B-FP8-dynamic"
    assert command.argv[:5] == ("vllm", "serve", repo, "--uds", "/run/e.sock")
    assert flag(command, "max-model-len") == "32768"
    assert flag(command, "max-num-seqs") == "256"
    assert flag(command, "max-num-batched-tokens") == "8192"
    assert flag(command, "gpu-memory-utilization") == "0.92"
    assert flag(command, "reasoning-parser") == "deepseek_r1"
    assert flag(command, "generation-config") == "vllm"
    assert flag(command, "enable-prompt-tokens-details") == ""
    unsaid = """tensor-parallel-size quantization dtype kv-cache-dtype enforce-eager nnodes host port
    enable-auto-tool-choice tool-call-parser chat-template trust-remote-code enable-prefix-caching
    no-enable-prefix-caching"""
    assert not [name for name in unsaid.split() if flag(command, name) is not None]
    assert not command.env


def test_names_and_a_folder_of_ones_own() -> None:
    built = plan("r1-distill-qwen-7b", "rtx-4090")
    command = one(built, model="/models/7b", served_as=("deepseek-chat", "r1"))
    assert command.argv[2] == "/models/7b"
    at = command.argv.index("--served-model-name")
    assert command.argv[at + 1 : at + 3] == ("deepseek-chat", "r1")
    assert flag(command, "uds") is None


def test_four_cards_and_an_eager_fp8_cache() -> None:
    built = plan("r1-distill-qwen-32b", "rtx-4090", Layout(tp=4), kv_cache_dtype="fp8")
    command = one(replace(built, enforce_eager=True))
    assert flag(command, "tensor-parallel-size") == "4"
    assert flag(command, "kv-cache-dtype") == "fp8"
    assert flag(command, "enforce-eager") is not None
    assert flag(command, "max-num-queued-reqs") == "1024"


def test_turing_is_told_to_use_halves() -> None:
    assert flag(one(plan("r1-distill-qwen-7b", "t4")), "dtype") == "float16"


def test_a_model_without_a_family_has_no_parsers() -> None:
    built = plan("deepseek-r1", "h200", Layout(tp=8))
    command = one(
        replace(built, subject=replace(built.subject, family=None, variants={}, name="me/x"))
    )
    assert command.argv[2] == "me/x"
    assert not [word for word in command.argv if "parser" in word or "template" in word]


@pytest.mark.parametrize(
    ("model", "reasoning", "tools", "tokenizer", "template"),
    [
        ("deepseek-r1", "deepseek_r1", "deepseek_v3", None, "deepseek_r1.jinja"),
        ("deepseek-v3-0324", None, "deepseek_v3", None, "deepseek_v3.jinja"),
        ("deepseek-v3.1", "deepseek_v3", "deepseek_v31", None, "deepseek_v31.jinja"),
        ("deepseek-v3.2", "deepseek_v3", "deepseek_v32", "deepseek_v32", None),
        ("deepseek-v3.2-speciale", "deepseek_v3", None, "deepseek_v32", None),
        ("deepseek-v4-flash", "deepseek_v4", "deepseek_v4", "deepseek_v4", None),
        (V41, "deepseek_v41", "deepseek_v41", "deepseek_v41", None),
        ("deepseek-v2.5", None, None, None, None),
    ],
)
def test_each_family_speaks_its_chat_format(
    model: str,
    reasoning: str | None,
    tools: str | None,
    tokenizer: str | None,
    template: str | None,
) -> None:
    command = one(plan(model, "h200", Layout(tp=8)))
    assert flag(command, "reasoning-parser") == reasoning
    assert flag(command, "tool-call-parser") == tools
    assert (flag(command, "enable-auto-tool-choice") is not None) == bool(tools)
    assert flag(command, "tokenizer-mode") == tokenizer
    path = flag(command, "chat-template")
    assert (path and path.rsplit("/", 1)[1]) == template
    assert path is None or path.startswith("/")


def test_speciale_is_told_to_think() -> None:
    command = one(plan("deepseek-v3.2-speciale", "h200", Layout(dp=8, ep=True)))
    assert json.loads(flag(command, "default-chat-template-kwargs") or "") == {"thinking": True}
    assert flag(command, "no-enable-flashinfer-autotune") == ""


def test_two_nodes_of_a100_run_tp_in_a_node_and_pp_over_them() -> None:
    built = plan("deepseek-r1", "a100-80g", Layout(tp=8, pp=2, nodes=2))
    head, other = commands(built, uds="/run/e.sock", master="10.0.0.1")
    for node, command in enumerate((head, other)):
        assert command.node == node
        assert command.argv[:3] == ("vllm", "serve", "deepseek-ai/DeepSeek-R1")
        assert flag(command, "tensor-parallel-size") == "8"
        assert flag(command, "pipeline-parallel-size") == "2"
        assert (flag(command, "nnodes"), flag(command, "node-rank")) == ("2", str(node))
        assert flag(command, "master-addr") == "10.0.0.1"
        assert flag(command, "distributed-executor-backend") is None
    assert (flag(head, "headless"), flag(other, "headless")) == (None, "")
    assert (flag(head, "uds"), flag(other, "uds")) == ("/run/e.sock", None)
    assert flag(head, "chat-template") and flag(other, "chat-template") is None
    assert flag(other, "reasoning-parser") == "deepseek_r1"


def test_two_nodes_of_dp16_and_experts() -> None:
    built = plan("deepseek-v3.1", "h800-80g", Layout(dp=16, ep=True, nodes=2), max_num_seqs=64)
    head, other = commands(built)
    for command in (head, other):
        assert flag(command, "data-parallel-size") == "16"
        assert flag(command, "data-parallel-size-local") == "8"
        assert flag(command, "data-parallel-address") == "MASTER_ADDR"
        assert flag(command, "data-parallel-rpc-port") == "29550"
        assert flag(command, "enable-expert-parallel") is not None
        assert flag(command, "nnodes") is None
    assert flag(head, "headless") is None and flag(head, "data-parallel-start-rank") is None
    assert flag(other, "headless") == "" and flag(other, "data-parallel-start-rank") == "8"
    assert flag(head, "max-num-queued-reqs") == str(4 * 64 * 16)  # it counts all ranks' requests
    assert flag(other, "max-num-queued-reqs") is None


def test_a_dp_rank_for_each_node_and_one_over_two() -> None:
    _, other = commands(plan("deepseek-v4-pro", "h800-80g", Layout(tp=8, dp=2, ep=True, nodes=2)))
    assert flag(other, "data-parallel-size-local") == "1"
    assert flag(other, "data-parallel-start-rank") == "1"
    *_, last = commands(plan("deepseek-v4-pro", "a100-80g", Layout(tp=8, pp=2, dp=2, nodes=4)))
    assert (flag(last, "nnodes"), flag(last, "node-rank")) == ("4", "3")
    assert flag(last, "data-parallel-size") == "2"
    assert flag(last, "data-parallel-size-local") is None


def test_ray_where_it_is_asked_for_or_vllm_is_too_old() -> None:
    built = plan("deepseek-r1", "a100-80g", Layout(tp=8, pp=2, nodes=2))
    for head, other in (
        commands(built, ray=True, master="10.0.0.1"),
        commands(replace(built, version=(0, 11)), master="10.0.0.1"),
    ):
        assert flag(head, "distributed-executor-backend") == "ray"
        assert flag(head, "nnodes") is None and flag(head, "headless") is None
        assert other.argv == ("ray", "start", "--address", "10.0.0.1:6379", "--block")
    assert RAY_HEAD == ("ray", "start", "--head", "--port", "6379")
    alone = one(plan("deepseek-r1", "h200", Layout(tp=8)), ray=True)
    assert flag(alone, "distributed-executor-backend") is None
    head, _ = commands(plan("deepseek-r1", "h800-80g", Layout(dp=16, ep=True, nodes=2)), ray=True)
    assert flag(head, "data-parallel-backend") == "ray"
    assert flag(head, "data-parallel-size-local") == "8"
    assert flag(head, "data-parallel-address") is None


def test_v41_keeps_its_tables_in_host_memory_and_drafts_blocks() -> None:
    built = plan(V41, "h200", Layout(tp=8), drafting=True, kv_cache_dtype="fp8")
    command = one(built)
    assert json.loads(flag(command, "engram-config") or "") == {"cpu_offload": True}
    assert json.loads(flag(command, "speculative-config") or "") == {
        "method": "dspark",
        "num_speculative_tokens": 5,
        "draft_sample_method": "probabilistic",
    }
    assert command.env == {"VLLM_ENGINE_READY_TIMEOUT_S": "3600"}
    assert flag(command, "block-size") is None
    assert flag(one(replace(built, version=(0, 29))), "engram-config") is None
    assert one(plan(V41, "mi300x", Layout(tp=8))).env["VLLM_USE_BREAKABLE_CUDAGRAPH"] == "1"


def test_v4_has_its_block_size_and_drafts_only_when_planned() -> None:
    built = plan(V4_FLASH, "h200", Layout(tp=4, ep=True), kv_cache_dtype="fp8")
    assert flag(one(built), "block-size") == "256"
    assert flag(one(built), "speculative-config") is None
    assert flag(one(built), "engram-config") is None
    assert "moe-backend" not in " ".join(one(built).argv)


def test_rocm_has_aiter_and_nothing_of_flashinfer() -> None:
    command = one(plan("deepseek-v3.2", "mi300x", Layout(tp=8), kv_cache_dtype="bfloat16"))
    assert command.env == {"VLLM_ROCM_USE_AITER": "1"}
    assert flag(command, "kv-cache-dtype") == "bfloat16"
    assert not [word for word in command.argv if "flashinfer" in word]
    assert flag(command, "quantization") is None


def test_h20_leaves_deep_gemm_to_the_indexer() -> None:
    built = plan("deepseek-v3.2", "h20-96g", Layout(tp=8, pp=2, nodes=2))
    assert commands(built)[1].env == {"VLLM_USE_DEEP_GEMM": "0"}
    assert not one(plan("deepseek-r1", "h20-96g", Layout(tp=8))).env


def test_ascend_has_its_checkpoint_plugin_and_older_flags() -> None:
    layout = Layout(tp=4, dp=4, ep=True)
    command = one(plan("deepseek-v3.2", "ascend-910c", layout))
    assert command.argv[2] == "vllm-ascend/DeepSeek-V3.2-W8A8"
    assert flag(command, "quantization") == "ascend"
    assert flag(command, "block-size") == "128"
    assert flag(command, "max-num-queued-reqs") is None  # vLLM 0.23 has no such flag
    assert command.env["HCCL_OP_EXPANSION_MODE"] == "AIV"
    v4 = one(plan("deepseek-v4-flash", "ascend-910c", layout, drafting=True))
    assert flag(v4, "block-size") == "128"  # over the family's 256
    assert json.loads(flag(v4, "speculative-config") or "")["enforce_eager"] is True


@pytest.mark.parametrize(
    ("device", "fence"), [("gaudi3", None), ("tpu-v6e", None), ("arc-pro-b60", "1024")]
)
def test_the_second_fence_only_where_the_version_is_known_to_have_it(
    device: str, fence: str | None
) -> None:
    assert flag(one(plan("r1-distill-qwen-7b", device)), "max-num-queued-reqs") == fence


def test_a_cpu_has_its_own_entry_cache_and_kernel() -> None:
    built = plan("deepseek-v2-lite-chat", "cpu-amx", enforce_eager=True)
    command = one(built, uds="/run/e.sock")
    assert command.argv[:4] == ("python", *vllm_parser.API_SERVER[1:], "--model")
    assert command.argv[4] == "deepseek-ai/DeepSeek-V2-Lite-Chat"
    assert command.env == {"VLLM_CPU_KVCACHE_SPACE": "20", "VLLM_CPU_OMP_THREADS_BIND": "auto"}
    assert flag(command, "dtype") == "bfloat16"
    assert flag(command, "gpu-memory-utilization") is None
    custom = json.loads(flag(command, "compilation-config") or "")
    assert custom == {"custom_ops": ["all", "-rotary_embedding"]}
    assert flag(one(replace(built, enforce_eager=False)), "compilation-config") is None
    dense = plan("r1-distill-qwen-1.5b", "cpu-avx512", enforce_eager=True, kv_bytes=0.4 * 2**30)
    assert flag(one(dense), "compilation-config") is None
    assert one(dense).env["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_two_cpu_nodes_go_through_our_entry() -> None:
    head, other = commands(plan("r1-distill-qwen-7b", "cpu-amx", Layout(tp=2, nodes=2)))
    for command in (head, other):
        assert command.argv[:4] == (*vllm_parser.OUR_ENTRY, "serve")
        assert flag(command, "nnodes") == "2"
    assert flag(other, "headless") is not None


# -- What the installed vLLM says. Whether a model fits where it is put is not the question here.

LAYOUTS = {
    "rtx-4090": (Layout(), Layout(tp=4)),
    "h200": (Layout(tp=8), Layout(dp=8, ep=True), Layout(tp=8, dcp=8)),
    "a100-80g": (Layout(tp=8, pp=2, nodes=2), Layout(tp=8, pp=2, dp=2, nodes=4)),
    "h800-80g": (Layout(dp=16, ep=True, nodes=2), Layout(tp=8, dp=2, ep=True, nodes=2)),
    "mi300x": (Layout(tp=8),),
    "ascend-910c": (Layout(tp=4, dp=4, ep=True), Layout(tp=8, dp=4, ep=True, nodes=2)),
    "tpu-v6e": (Layout(tp=8),),
    "arc-pro-b60": (Layout(tp=4),),
    "gaudi3": (Layout(tp=8),),
    "cpu-amx": (Layout(), Layout(tp=2), Layout(tp=2, nodes=2)),
}
# A choice of vllm-ascend's, which registers it; everything else it is given is vLLM's own.
PLUGINS = {"unknown quantization 'ascend'": "vllm-ascend registers it"}


def every_command(catalog: Catalog) -> dict[str, NodeCommand]:
    """Every model in every format on a device of every platform, with and without a drafter and Ray."""
    found = {}
    for (device, layouts), model in product(LAYOUTS.items(), catalog.models.values()):
        here = CATALOG.accelerators[device].platform
        formats = [w for w, v in model.weights.items() if here in (v.platforms or (here,))]
        for layout, weights in product(layouts, formats):
            dtypes = catalog.families[model.family].kv_cache_dtypes
            how = {"weights": weights, "kv_cache_dtype": dtypes[-1], "drafting": weights != "awq"}
            built = plan(model.id, device, layout, enforce_eager=weights == "int8", **how)
            for ray in {False, layout.nodes > 1 and weights == "fp8"}:
                for command in commands(built, uds="/e.sock", served_as=("a", "b"), ray=ray):
                    name = f"{model.id} {weights} {device} {layout} {ray} {command.node}"
                    found[name] = command
    return found


@pytest.mark.skipif(not vllm_parser.INSTALLED, reason="vLLM is not installed")
def test_vllm_itself_takes_every_command_and_knows_every_name(vllm: vllm_parser.Vllm) -> None:
    asked = every_command(CATALOG)
    assert len(asked) > 1000
    env = {name for command in asked.values() for name in command.env}
    said = vllm.ask(
        [*(command.argv for command in asked.values()), ["vllm", "serve", "m", "--no-such-flag"]],
        env | GONE,
    )
    *errors, control = said.errors
    assert control == "ValueError: unrecognized arguments: --no-such-flag"
    refused = {name: why for name, why in zip(asked, errors, strict=True) if why}
    assert {n: why for n, why in refused.items() if why not in PLUGINS} == {}
    assert all("ascend" in name for name in refused)
    assert said.unknown_env & env == set()
    assert said.unknown_env == GONE
    assert said.version.endswith("+cpu") or "cpu" not in said.version
    for family in CATALOG.families.values():
        assert family.reasoning_parser in {None, *said.reasoning_parsers}
        assert family.tool_parser in {None, *said.tool_parsers}
        assert family.tokenizer_mode in {None, *said.tokenizer_modes}

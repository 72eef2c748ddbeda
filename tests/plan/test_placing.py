"""Over how many nodes a layout lies: what vLLM refuses there, or waits for without end, is no plan."""

from __future__ import annotations

from itertools import product

import pytest

from seekserve.errors import Impossible
from seekserve.plan import planner
from seekserve.plan.catalog import load_catalog
from seekserve.plan.commands import node_commands
from seekserve.plan.wish import Cluster, NodeCommand, Plan, Wish

CATALOG = load_catalog()
MODELS = ("r1-distill-qwen-7b", "r1-distill-llama-70b", "deepseek-r1", "deepseek-v4-flash")
ASKED = (
    Wish(),
    Wish(tp=4),
    Wish(tp=8),
    Wish(pp=2),
    Wish(dp=3),
    Wish(tp=4, pp=3),
    Wish(tp=2, dp=4),
    Wish(tp=2, pp=2, dp=2),
    Wish(tp=1, dp=6),
)


def decided(model: str, gpu: str, cards: int, nodes: int, wish: Wish) -> Plan:
    cluster = planner.cluster_of(CATALOG, f"{gpu}:{cards}", nodes)
    return planner.decide(CATALOG, planner.subject_of(CATALOG, model), cluster, wish)


def size(command: NodeCommand, name: str, default: int = 1) -> int:
    argv = command.argv
    return int(argv[argv.index(f"--{name}") + 1]) if f"--{name}" in argv else default


def starts(commands: tuple[NodeCommand, ...], cluster: Cluster) -> bool:
    """By the rules of vLLM's engine/arg_utils.py and config/parallel.py, and no node too full."""
    head, nodes = commands[0], len(commands)
    dp = size(head, "data-parallel-size")
    rank = size(head, "tensor-parallel-size") * size(head, "pipeline-parallel-size")
    local = size(head, "data-parallel-size-local", 0)
    if local:
        first = [size(command, "data-parallel-start-rank", 0) for command in commands]
        whole = first == list(range(0, dp, local)) and size(head, "nnodes") == 1
        return whole and nodes <= cluster.nodes and local * rank <= cluster.per_node
    each = dp * rank // nodes
    even = dp * rank % nodes == 0 and nodes % (dp // max(each // rank, 1)) == 0
    held = nodes <= cluster.nodes and each <= cluster.per_node
    return size(head, "nnodes") == nodes and even and held


@pytest.mark.parametrize("wish", ASKED, ids=lambda wish: f"{wish.tp}-{wish.pp}-{wish.dp}")
def test_whatever_fits_starts_on_every_cluster(wish: Wish) -> None:
    fitting = 0
    for model, cards, nodes in product(MODELS, range(1, 9), range(1, 7)):
        try:
            found = decided(model, "h100-80g", cards, nodes, wish)
        except Impossible:
            continue
        if found.verdict != "does_not_fit":
            fitting += 1
            assert starts(node_commands(found, CATALOG), found.cluster), found.layout
    assert fitting > 10


@pytest.mark.parametrize(
    ("model", "cluster", "wish", "sizes"),
    [
        ("r1-distill-qwen-7b", ("a100-80g", 8, 3), Wish(), (4, 6, 1, 3)),
        ("deepseek-r1", ("h100-80g", 6, 2), Wish(weights="awq"), (2, 6, 1, 2)),
        ("deepseek-r1", ("a100-80g", 8, 3), Wish(tp=16), (16, 1, 1, 2)),
        ("deepseek-r1", ("a100-80g", 8, 3), Wish(tp=8, pp=2), (8, 2, 1, 2)),
        ("r1-distill-llama-70b", ("a100-80g", 8, 2), Wish(tp=8, pp=1), (8, 1, 1, 1)),
        ("r1-distill-qwen-7b", ("a100-80g", 8, 3), Wish(tp=4, dp=3), (4, 1, 3, 3)),
        ("r1-distill-qwen-7b", ("a100-80g", 8, 3), Wish(tp=4, pp=3), (4, 3, 1, 3)),
    ],
)
def test_as_few_nodes_as_share_the_ranks_evenly(
    model: str, cluster: tuple[str, int, int], wish: Wish, sizes: tuple[int, int, int, int]
) -> None:
    """Where one count of them keeps TP inside a node, it is that one."""
    layout = decided(model, *cluster, wish).layout
    assert (layout.tp, layout.pp, layout.dp, layout.nodes) == sizes


def test_ranks_that_lie_evenly_over_no_count_of_nodes_are_impossible() -> None:
    with pytest.raises(Impossible, match="12 ranks, which do not lie evenly over 2 nodes") as told:
        decided("r1-distill-qwen-7b", "a100-80g", 8, 2, Wish(tp=4, dp=3))
    assert "--dp 2" in told.value.todo
    assert decided("r1-distill-qwen-7b", "a100-80g", 8, 2, Wish(tp=4, dp=2)).layout.nodes == 1


def test_interfaces_are_named_only_where_nodes_talk() -> None:
    cluster = planner.cluster_of(CATALOG, "a100-80g:8", 2)
    subject = planner.subject_of(CATALOG, "r1-distill-llama-70b")
    alone = planner.plan(CATALOG, subject, cluster, Wish(tp=8, pp=1))
    both = planner.plan(CATALOG, subject, cluster, Wish(tp=8, pp=2))
    assert ["NCCL_SOCKET_IFNAME" in " ".join(one.advice) for one in (alone, both)] == [False, True]

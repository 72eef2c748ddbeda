"""Which layouts a model may take on a cluster: all devices used, TP inside a node. Pure."""

from __future__ import annotations

from dataclasses import replace

from seekserve.errors import Impossible
from seekserve.plan import allowed
from seekserve.plan.formats import Format
from seekserve.plan.layout import Layout
from seekserve.plan.wish import Cluster, Subject, Wish


def layouts(subject: Subject, cluster: Cluster, wish: Wish, form: Format) -> list[Layout]:
    """Every layout that uses all devices and that the wish and the shape allow, the preferred first."""
    asked = wish.tp, wish.pp, wish.dp
    free = all(value is None for value in asked)
    options = _usual(subject, cluster) if free else _asked(cluster, wish)
    made = [replace(layout, ep=_ep(subject, layout, wish), dcp=wish.dcp or 1) for layout in options]
    can = [layout for layout in made if not allowed.indivisible(subject.shape, form, layout)]
    placed = [there for layout in can if (there := _over(cluster, layout))]
    if can and not placed:
        raise _uneven(cluster, can[0])
    return [layout for layout in placed if layout.tp == placed[0].tp]


def _over(cluster: Cluster, layout: Layout) -> Layout | None:
    """Over as few nodes as share its ranks evenly, TP inside a node before fewer nodes."""
    least = -(-layout.gpus // cluster.per_node)
    spread = [replace(layout, nodes=count) for count in range(least, cluster.nodes + 1)]
    can = [there for there in spread if there.even]
    return min(can, key=lambda there: bool(there.gpus // there.nodes % there.tp), default=None)


def _uneven(cluster: Cluster, layout: Layout) -> Impossible:
    count, most = cluster.nodes, cluster.per_node
    return Impossible(
        f"TP {layout.tp} x PP {layout.pp} x DP {layout.dp} is {layout.gpus} ranks, which do not lie "
        f"evenly over {count} nodes of {most} devices, nor over fewer.",
        f"--tp {most} or less lies evenly with --pp {count}, or with --dp {count}; or leave all three out.",
    )


def _asked(cluster: Cluster, wish: Wish) -> list[Layout]:
    """What was asked for, the rest filled up with the devices there are."""
    pp, dp = wish.pp or 1, wish.dp or 1
    tp = wish.tp or max(1, cluster.gpus // (pp * dp))
    if wish.dp is None and wish.pp is None and tp < cluster.gpus and cluster.nodes > 1:
        pp = cluster.gpus // tp
    if tp == dp == cluster.gpus:  # some engines say it so when attention is data-parallel
        tp = 1
    if tp * pp * dp > cluster.gpus:
        raise Impossible(
            f"TP {tp} x PP {pp} x DP {dp} is {tp * pp * dp} devices; there are {cluster.gpus}.",
            "Lower one of them, or name more devices with --gpu NAME:COUNT and --nodes.",
        )
    return [Layout(tp, pp, dp)]


def _usual(subject: Subject, cluster: Cluster) -> list[Layout]:
    """The widest TP that a node allows. Over nodes: stages, but V4, whose cache is small, by DP.

    Nodes of one device each are made for TP across them (GB10 and its network).
    """
    sizes = [tp for tp in range(cluster.per_node, 0, -1) if cluster.per_node % tp == 0]
    spread = subject.shape.attention == "csa"
    options = [Layout(cluster.nodes)] if cluster.per_node == 1 and cluster.nodes > 1 else []
    for tp in sizes:
        rest = cluster.per_node // tp
        if spread:
            options.append(Layout(tp, 1, rest * cluster.nodes))
        else:
            options.append(Layout(tp, cluster.nodes, rest))
            options.append(Layout(tp, cluster.nodes * rest, 1))
    return options


def _ep(subject: Subject, layout: Layout, wish: Wish) -> bool:
    if subject.shape.experts is None or layout.expert_ranks == 1:
        return False
    if wish.ep is not None:
        return wish.ep
    return layout.dp > 1 or subject.shape.attention == "csa"

"""A tier that names its model and flags -> what each of several nodes runs. Pure.

Where ranks lie is `commands.place`'s to say, as for a planned model.
"""

from __future__ import annotations

from seekserve.errors import ConfigError
from seekserve.plan.command import Platform, flags_of
from seekserve.plan.commands import CPU_NODES_ENTRY, FRONT, place, words
from seekserve.plan.layout import Layout
from seekserve.plan.wish import NodeCommand
from seekserve.settings import EngineSettings, Flag

SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")


def written_commands(
    settings: EngineSettings, platform: Platform, model: str, nodes: int, master: str, uds: str
) -> tuple[NodeCommand, ...]:
    """One for each node; node 0 serves, on `uds`. Raises ConfigError where the tier's ranks do not lie
    evenly over so many.
    """
    flags = flags_of(settings, platform)
    layout = _layout(flags, nodes)
    named: dict[str, Flag] = {}
    if settings.served_as:
        named = {"served-model-name": list(settings.served_as)}
    entry = CPU_NODES_ENTRY if platform == "cpu" else ("vllm", "serve")
    commands = []
    for node in range(nodes):
        front: dict[str, Flag] = {} if node else {"uds": uds}
        here = {k: v for k, v in flags.items() if not node or k not in FRONT}
        argv = (*entry, model, *words(front | named | here | place(layout, node, master)))
        commands.append(NodeCommand(node, argv, {}))
    return tuple(commands)


def _layout(flags: dict[str, Flag], nodes: int) -> Layout:
    said = [str(flags.get(name, 1)) for name in SIZES]
    if not all(size.isdigit() and int(size) for size in said):
        raise ConfigError(f"{', '.join(SIZES)} must be numbers above 0, not {', '.join(said)}.")
    tp, pp, dp = [int(size) for size in said]
    layout = Layout(tp, pp, dp, nodes=nodes)
    if not layout.even:
        raise ConfigError(
            f"TP {tp} x PP {pp} x DP {dp} is {layout.gpus} ranks, which do not lie evenly over "
            f"{nodes} nodes.",
            f"Set {SIZES[0]}, {SIZES[1]} or {SIZES[2]} in engine.args so that they do.",
        )
    return layout

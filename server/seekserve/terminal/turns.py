"""A conversation: its turns in memory, what it cost, and the file it is saved to and loaded from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seekserve.terminal.answer import Answer, Counts
from seekserve.terminal.wishes import Unfit

ROLES = ("system", "user", "assistant")
MOST_BYTES = 32 << 20
Turn = dict[str, str]


class Turns:
    """Questions and answers by turns: a question that got no answer is kept apart, to be asked again."""

    def __init__(self) -> None:
        self.messages: list[Turn] = []
        self.answers = 0
        self.counts = Counts()
        self.thoughts = self.question = ""
        self._aside: list[Turn] = []  # the turn that is asked again

    def asking(self, question: str) -> list[Turn]:
        """What is sent. Bytes that were no text when they were typed are question marks."""
        self.question = question.encode(errors="replace").decode()
        return [*self.messages, {"role": "user", "content": self.question}]

    def answered(self, answer: Answer) -> None:
        """Also one that was cut short. Without a word of answer there was no turn."""
        self.thoughts = answer.thoughts
        self.answers += 1
        self.counts = Counts(*(_sum(pair) for pair in zip(self.counts, answer.counts, strict=True)))
        if answer.text:
            self.messages.append({"role": "user", "content": self.question})
            self.messages.append({"role": "assistant", "content": answer.text})
        else:
            self.messages += self._aside
        self._aside = []

    def again(self) -> str:
        """The last question, as if it had not been asked: its old answer is there again where no new one
        comes. Raises Unfit.
        """
        if not self.question:
            raise Unfit("Nothing has been asked yet.")
        if [turn["content"] for turn in self.messages[-2:-1]] == [self.question]:
            self._aside = self.messages[-2:]
            del self.messages[-2:]
        return self.question

    def clear(self) -> None:
        self.messages, self.question, self.thoughts = [], "", ""

    def usage(self) -> str:
        counts = zip(("in", "cached", "out", "thinking"), self.counts, strict=True)
        parts = [f"{count:,} {name}" for name, count in counts if count is not None]
        questions = "1 question" if self.answers == 1 else f"{self.answers} questions"
        return " · ".join(
            [questions, *(parts or ["the server told no tokens"] * bool(self.answers))]
        )


def _sum(pair: tuple[int | None, int | None]) -> int | None:
    known = [count for count in pair if count is not None]
    return sum(known) if known else None


def place(told: str) -> Path:
    """A file by what is typed. Raises Unfit."""
    try:
        return Path(told).expanduser()
    except RuntimeError as error:  # ~ and the name of nobody here
        raise Unfit(f"{told[:80]} names the home of nobody here.") from error


def save(path: Path, system: str, turns: Iterable[Turn]) -> None:
    """Whole or not at all, and readable by its owner alone. A file that holds something else is not
    written over. Raises Unfit.
    """
    opening = [{"role": "system", "content": system}] if system else []
    text = json.dumps([*opening, *turns], indent=2, ensure_ascii=False) + "\n"
    try:
        if path.exists():
            load(path)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with open(draft, "x", encoding="utf-8", errors="replace", opener=_mine) as file:
            try:
                file.write(text)
                file.flush()
                draft.replace(path)
            except OSError:
                draft.unlink()
                raise
    except Unfit as error:
        raise Unfit(
            f"{path} holds something else, and is left alone. Choose another name."
        ) from error
    except OSError as error:
        raise Unfit(f"{path} cannot be written: {error.strerror}.") from error


def _mine(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def load(path: Path) -> tuple[str, list[Turn]]:
    """System text and turns of a saved conversation, or of any JSON list of messages. Raises Unfit."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unfit(f"{path} cannot be read: {error.strerror}.") from error
    try:
        told = json.loads(text[:MOST_BYTES])
    except (ValueError, RecursionError) as error:
        raise Unfit(f"{path} is not JSON.") from error
    turns = [_turn(item) for item in told] if isinstance(told, list) else []
    found = [turn for turn in turns if turn]
    if not found or len(found) < len(turns):
        roles = ", ".join(ROLES)
        raise Unfit(f"{path} is no list of messages, each with a role ({roles}) and a text.")
    system = "\n".join(turn["content"] for turn in found if turn["role"] == "system")
    return system, [turn for turn in found if turn["role"] != "system"]


def _turn(item: Any) -> Turn | None:
    if not isinstance(item, dict) or item.get("role") not in ROLES:
        return None
    content = item.get("content")
    return {"role": item["role"], "content": content} if isinstance(content, str) else None

"""What the load asks: every API, streamed or whole, thinking or not, greedy; answers are known. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

Dialect = Literal["chat", "completions", "responses", "messages"]
PATHS: dict[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
LONG = 300
"""Tokens, at most: several times what any of these answers takes."""


@dataclass(frozen=True, slots=True)
class Question:
    """`answer` is a part of every right answer."""

    number: int
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Ask:
    dialect: Dialect
    stream: bool
    thinking: bool
    question: Question

    @property
    def name(self) -> str:
        """Of its kind and its question's number, never its text."""
        how = "stream" if self.stream else "whole"
        thinks = "-thinking" if self.thinking else ""
        return f"{self.dialect}-{how}{thinks}-{self.question.number}"

    @property
    def path(self) -> str:
        return PATHS[self.dialect]

    def body(self, model: str) -> dict[str, Any]:
        common: dict[str, Any] = {"model": model, "temperature": 0, "stream": self.stream}
        said = [{"role": "user", "content": self.question.text}]
        thinking = {"thinking": {"type": "enabled" if self.thinking else "disabled"}}
        match self.dialect:
            case "chat":
                usage = {"stream_options": {"include_usage": True}} if self.stream else {}
                return common | {"messages": said, "max_tokens": LONG} | thinking | usage
            case "completions":
                return common | {"prompt": self.question.text, "max_tokens": 40}
            case "responses":
                effort = {} if self.thinking else {"reasoning": {"effort": "none"}}
                return common | {"input": self.question.text, "max_output_tokens": LONG} | effort
            case "messages":
                budget = {"type": "enabled", "budget_tokens": 1024} if self.thinking else None
                most = 1500 if self.thinking else LONG
                told = common | {"messages": said, "max_tokens": most}
                return told | {"thinking": budget or {"type": "disabled"}}

    def request(self, model: str, key: str, id_: str) -> bytes:
        """The whole request, head and body."""
        data = json.dumps(self.body(model)).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\nx-request-id: {id_}\r\n"
            f"content-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


def sums_and_counts(count: int) -> tuple[Question, ...]:
    """What the demo model does well: it adds, and counts."""
    sums = [(f"What is {17 + n} + {25 + 3 * n}?", str(42 + 4 * n)) for n in range(count)]
    counts = [(f"Count from {n + 1} to {n + 25}.", str(n + 25)) for n in range(count)]
    return tuple(Question(n, *one) for n, one in enumerate([*sums, *counts]))


def words(count: int, interval_s: float = 0.02) -> tuple[Question, ...]:
    """What the fake engine says: as many words as it is asked for, one after another."""
    return tuple(
        Question(n, f"fault:slow interval={interval_s} tokens={6 + 4 * n}", f"w{5 + 4 * n}")
        for n in range(count)
    )


def every(questions: Sequence[Question]) -> tuple[Ask, ...]:
    """Every way to ask every question; a bare completion does not think."""
    chat: Sequence[Dialect] = ("chat", "responses", "messages")
    ways = [
        *product(chat, (True, False), (True, False)),
        *product(("completions",), (True, False), (False,)),
    ]
    return tuple(
        Ask(dialect, stream, thinking, question)  # type: ignore[arg-type]  # product joins the types
        for question in questions
        for dialect, stream, thinking in ways
    )

"""What a chat asks for beside its turns, and the commands that change it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
OFF = ("off", "default", "-")


class Unfit(ValueError):
    """Words for whoever typed it."""


@dataclass(frozen=True)
class Wishes:
    """None and empty leave it to the server."""

    model: str = ""
    system: str = ""
    thinks: bool | None = None
    effort: str = ""
    temperature: float | None = None
    most: int | None = None
    stops: tuple[str, ...] = ()

    def body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """The request."""
        opening = [{"role": "system", "content": self.system}] if self.system else []
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": opening + messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.thinks is not None:
            asked["thinking"] = {"type": "enabled" if self.thinks else "disabled"}
        chosen = {
            "reasoning_effort": self.effort,
            "temperature": self.temperature,
            "max_tokens": self.most,
            "stop": list(self.stops),
        }
        return asked | {
            name: value for name, value in chosen.items() if value not in ("", None, [])
        }


@dataclass(frozen=True)
class Command:
    usage: str
    words: str


COMMANDS: Mapping[str, Command] = {
    "help": Command("", "this list"),
    "model": Command("[NAME]", "the models there are, or another one"),
    "system": Command("[TEXT|off]", "what the model is told before everything"),
    "think": Command("on|off|default", "whether it thinks first"),
    "effort": Command("LEVEL|default", f"how hard: {' '.join(EFFORTS)}"),
    "temp": Command("0..2|default", "temperature"),
    "max": Command("TOKENS|default", "most tokens of an answer, its thinking included"),
    "stop": Command("[TEXT|off]", "one more text that ends an answer"),
    "thoughts": Command("", "what it thought before its last answer"),
    "usage": Command("", "tokens of this conversation so far"),
    "save": Command("FILE", "the turns as JSON, for you alone to read"),
    "load": Command("FILE", "go on from saved turns"),
    "retry": Command("", "ask the last question again"),
    "clear": Command("", "forget the turns"),
    "quit": Command("", "end; so does Ctrl-D"),
}


def parsed(line: str) -> tuple[str, str] | None:
    """A command and what follows it; None for a question. Raises Unfit."""
    if not line.startswith("/"):
        return None
    word, _, rest = line[1:].partition(" ")
    if word not in COMMANDS:
        raise Unfit(f"There is no /{word}. /help lists them; a question may begin with a space.")
    return word, rest.strip()


def changed(wishes: Wishes, name: str, rest: str) -> Wishes:
    """After a command that sets one of them. Raises Unfit."""
    return _CHANGES[name](wishes, rest)


def _system(wishes: Wishes, rest: str) -> Wishes:
    return replace(wishes, system="" if rest in OFF else rest)


def _think(wishes: Wishes, rest: str) -> Wishes:
    words = {"on": True, "off": False, "default": None}
    if rest not in words:
        raise Unfit("/think on, /think off, or /think default: as the server has it.")
    return replace(wishes, thinks=words[rest])


def _effort(wishes: Wishes, rest: str) -> Wishes:
    if rest not in (*EFFORTS, "default"):
        raise Unfit(f"/effort takes one of: {', '.join(EFFORTS)}, default.")
    return replace(wishes, effort="" if rest == "default" else rest)


def _temp(wishes: Wishes, rest: str) -> Wishes:
    if rest in OFF:
        return replace(wishes, temperature=None)
    try:
        value = float(rest)
    except ValueError:
        value = -1
    if not 0 <= value <= 2:
        raise Unfit("/temp takes a number from 0 to 2, or default.")
    return replace(wishes, temperature=value)


def _most(wishes: Wishes, rest: str) -> Wishes:
    if rest in OFF:
        return replace(wishes, most=None)
    if not (rest.isascii() and rest.isdigit() and 0 < int(rest[:12]) < 2**31):
        raise Unfit("/max takes a number of tokens, or default.")
    return replace(wishes, most=int(rest))


def _stop(wishes: Wishes, rest: str) -> Wishes:
    return replace(wishes, stops=() if rest in OFF else (*wishes.stops, rest))


_CHANGES: Mapping[str, Callable[[Wishes, str], Wishes]] = {
    "system": _system,
    "think": _think,
    "effort": _effort,
    "temp": _temp,
    "max": _most,
    "stop": _stop,
}
SETS = frozenset(_CHANGES)


def told(wishes: Wishes, name: str) -> str:
    """What one of them is now."""
    value = {
        "system": wishes.system,
        "think": {True: "on", False: "off", None: ""}[wishes.thinks],
        "effort": wishes.effort,
        "temp": "" if wishes.temperature is None else f"{wishes.temperature:g}",
        "max": "" if wishes.most is None else f"{wishes.most:,}",
        "stop": ", ".join(map(repr, wishes.stops)),
    }[name]
    otherwise = "none" if name in ("system", "stop") else "as the server has it"
    return f"{name}: {value or otherwise}"

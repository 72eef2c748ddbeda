"""Whether a reply is right. Strict on what was asked for, deaf to everything else."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .exam import Question

NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Reply:
    """What came back over the wire."""

    content: str
    reasoning: str
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"


def right(question: Question, reply: Reply) -> bool:
    """Whether the reply answers the question; thoughts are judged apart, by `thought_well`."""
    if question.call:
        return called(question.call, reply)
    if reply.calls or reply.finish != "stop":
        return False
    said, wanted = reply.content.strip(), question.expected
    if question.skill == "arithmetic":
        return equal_sum(said, wanted)
    if question.skill.startswith("json"):
        return equal_json(said, wanted)
    if question.skill == "counting":
        return NUMBER.findall(said) == NUMBER.findall(wanted)
    if question.skill == "honesty":
        return wanted in said and "cannot" in said and "add" in said
    return said == wanted


def equal_sum(said: str, wanted: str) -> bool:
    """The last number is the result, and the equation stands there in full."""
    numbers = re.findall(r"(?:(?<=\s)|^)-?\d+", said)
    return bool(numbers) and numbers[-1] == wanted.rsplit(" ", 1)[-1] and wanted in said


def equal_json(said: str, wanted: str) -> bool:
    """Valid JSON and nothing around it, with equal values of equal types."""
    try:
        found = json.loads(said)
    except ValueError:
        return False
    goal = json.loads(wanted)
    return bool(found == goal and type(found.get("age")) is int)


def called(wanted: tuple[str, Mapping[str, Any]], reply: Reply) -> bool:
    """One call, of that tool, with exactly those arguments. Adding may swap its two."""
    if len(reply.calls) != 1 or reply.finish != "tool_calls":
        return False
    name, text = reply.calls[0]
    try:
        found = json.loads(text)
    except ValueError:
        return False
    goal = dict(wanted[1])
    if name == "add" and isinstance(found, dict):
        same = sorted(found) == sorted(goal) and sorted(found.values()) == sorted(goal.values())
        return name == wanted[0] and same
    return name == wanted[0] and found == goal


def thought_well(reply: Reply, thinking: bool) -> bool:
    """Reasoning is there when it was asked for, absent when not, and never leaks."""
    leaked = "think>" in reply.content
    return bool(reply.reasoning.strip()) == thinking and not leaked

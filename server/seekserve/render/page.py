"""Values -> the text of a file: a heading in comments, then YAML. The headings are made here too. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from seekserve.plan.wish import Plan
from seekserve.render.order import Order

WIDTH = 110
SHORT = 76  # letters of a list that may stand in a line


class _Dumper(yaml.SafeDumper):
    """Short lists stand in a line, others are set in under their key; texts of several lines are blocks, and
    nothing is an alias.
    """

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if not value.replace("\n", "").isprintable():
        style = '"'  # other ends of lines and the like: escaped, or they would be read as what they are not
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    plain = all(isinstance(item, str | int) and "\n" not in str(item) for item in value)
    short = plain and sum(len(str(item)) + 2 for item in value) <= SHORT
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _sequence)


def page(heading: Iterable[str], *documents: Any) -> str:
    """Comment lines, then YAML documents."""
    return comments(heading) + "---\n".join(yaml_text(document) for document in documents)


def yaml_text(document: Any) -> str:
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True
    )
    return text


def comments(lines: Iterable[str]) -> str:
    """Long lines are broken; those that begin with a space are meant as they are."""
    wrapped: list[str] = []
    for said in lines:
        line = "".join(letter if letter.isprintable() else " " for letter in said)
        as_is = not line or line.startswith(" ")
        wrapped += [line] if as_is else textwrap.wrap(line, WIDTH - 2, break_on_hyphens=False)
    return "".join(f"# {line}".rstrip() + "\n" for line in wrapped)


def heading(ordered: Order, what: str, notes: Sequence[str] = ()) -> list[str]:
    """What a file is, how it was made, and what the planner promises of it."""
    made = "Rendered, not written: change what it was made from, then do this again:"
    lines = [what, made, f"  {ordered.asked.command}"]
    if promised := [promise(plan) for plan in ordered.plans]:
        more = "" if ordered.plan else ", by what the machine has (the server looks when it starts)"
        lines += [f"What the planner promises{more}:", *(f"  {line}" for line in promised)]
    for note in notes:
        lines += ["", *note.split("\n")] if note else []
    return [*lines, ""]


def promise(plan: Plan) -> str:
    """Such as "4 x A100: r1 in bf16, 131,072 tokens of context; up to 256 at once, 3.7 of that length"."""
    each = plan.max_num_seqs * plan.layout.dp
    layout = f", {plan.layout.words}" if plan.layout.words else ""
    return (
        f"{plan.cluster.words}: {plan.subject.name} in {plan.weights}{layout}, "
        f"{plan.max_model_len:,} tokens of context; up to {each:,} at once, "
        f"{plan.max_concurrency:.1f} of that length"
    )

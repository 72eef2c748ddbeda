"""Plan -> the JSON that programs read, and the page that people do. Pure.

`as_json` is a contract: its keys and their meaning change only with a release note. What is drawn is
rich renderables, so that this file neither prints nor knows how wide a terminal is. Print them with
`crop=False`: a command is one paste, however narrow the window.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from seekserve.plan.memory import GIB
from seekserve.plan.wish import NodeCommand, Plan

WORDS = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit"}
COLOURS = {"fits": "green", "tight": "yellow", "does_not_fit": "red"}
PARTS = (  # of a device's memory: name, colour, and its mark on a terminal and in plain ASCII
    ("weights", "blue", "█", "#"),
    ("overhead", "magenta", "▓", "="),
    ("KV cache", "green", "▒", "+"),
    ("left free", "dim", "░", "."),
)
BAR, PASTE = 52, 78


def as_json(plan: Plan) -> dict[str, Any]:
    """The contract. None where a figure is not known, or is of what was never planned."""
    speed = plan.speed
    return {
        "verdict": plan.verdict,
        "model": plan.subject.name,
        "weights": plan.weights or None,
        "kv_cache_dtype": plan.kv_cache_dtype or None,
        "layout": _layout(plan),
        "memory": _memory(plan),
        "capacity": {
            "kv_cache_tokens": plan.kv_tokens if sized(plan) else None,
            "max_model_len": plan.max_model_len or None,
            "max_concurrency": _rounded(plan.max_concurrency, 2) if sized(plan) else None,
        },
        "speed": {
            "decode_tokens_per_s_batch1_bound": _rounded(speed.decode_batch1, 1),
            "prefill_tokens_per_s_bound": _rounded(speed.prefill, 0),
            "cost_per_million_output_tokens": _rounded(speed.cost_per_million, 4),
        },
        "commands": [
            {"node": c.node, "argv": list(c.argv), "env": dict(c.env)} for c in plan.commands
        ],
        "reasons": list(plan.reasons),
        "advice": list(plan.advice),
    }


def _layout(plan: Plan) -> dict[str, int | None]:
    layout = plan.layout
    sizes = {
        "tp": layout.tp,
        "pp": layout.pp,
        "dp": layout.dp,
        "ep": layout.expert_ranks if layout.ep else 1,
        "nodes": layout.nodes,
        "gpus": layout.gpus,
    }
    return {name: size if sized(plan) else None for name, size in sizes.items()}


def _memory(plan: Plan) -> dict[str, float | int | None]:
    total = plan.cluster.memory_gib if plan.cluster.memory_gib > 0 else None
    over = plan.overhead.total / GIB if plan.overhead else None
    weights, room = plan.weights_bytes / GIB, max(0.0, plan.kv_bytes) / GIB
    return {
        "total_gib_per_gpu": _rounded(total, 2),
        "budget_gib_per_gpu": _rounded(total and total * plan.utilization, 2),
        "weights_gib_per_gpu": _rounded(weights, 2) if sized(plan) else None,
        "overhead_gib_per_gpu": _rounded(over, 2),
        "kv_cache_gib_per_gpu": _rounded(room, 2) if sized(plan) else None,
        "kv_bytes_per_token_per_gpu": _rounded(plan.kv_bytes_per_token, 0) if sized(plan) else None,
    }


def sized(plan: Plan) -> bool:
    """False for what was refused before its memory was counted."""
    return plan.weights_bytes > 0


def _rounded(value: float | None, places: int) -> float | int | None:
    """None stays None, and so does what JSON has no word for."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, places) if places else round(value)


def layout_words(plan: Plan) -> str:
    """Such as "TP 8 x PP 2 over 2 nodes, 16 devices"."""
    layout = plan.layout
    sizes = [f"TP {layout.tp}"]
    sizes += [f"PP {layout.pp}"] if layout.pp > 1 else []
    sizes += [f"DP {layout.dp}"] if layout.dp > 1 else []
    nodes = f" over {layout.nodes} nodes" if layout.nodes > 1 else ""
    unused = plan.cluster.gpus > layout.gpus
    devices = f"{layout.gpus} of {plan.cluster.gpus}" if unused else f"{layout.gpus}"
    words = f"{' x '.join(sizes)}{nodes}, {devices} device{'s' * (plan.cluster.gpus > 1)}"
    words += f", experts whole over {layout.expert_ranks} ranks (EP)" if layout.ep else ""
    return words + (f", KV cache split {layout.dcp} ways (DCP)" if layout.dcp > 1 else "")


def page(plan: Plan) -> RenderableType:
    """One plan for a person: the verdict, where the memory goes, bounds, why, and what to run."""
    head = Text.assemble(
        (WORDS[plan.verdict].upper(), f"bold {COLOURS[plan.verdict]}"),
        ("  " + plan.subject.name, "bold"),
        f"{f' in {plan.weights}' if plan.weights else ''} on {plan.cluster.words}",
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, value in _facts(plan):
        facts.add_row(label, value)
    parts: list[RenderableType] = [Text(), head, Text(), facts]
    for command in plan.commands:
        title = f"# node {command.node}" if len(plan.commands) > 1 else "# run it"
        whole = Text(f"{title}\n{paste(command)}", no_wrap=True, overflow="ignore")
        parts += [Text(), whole]
    return Group(*parts, Text())


def _facts(plan: Plan) -> Iterator[tuple[str, RenderableType]]:
    """The lines of a page: a label and what stands beside it."""
    if sized(plan):
        yield "Layout", Text(layout_words(plan))
    if plan.verdict != "does_not_fit":
        if plan.cluster.memory_gib > 0:
            yield "Memory", Bar(plan)
        yield "Capacity", Text(_capacity(plan))
        yield (
            "Engine",
            Text(
                f"vLLM {plan.version[0]}.{plan.version[1]}, KV cache {plan.kv_cache_dtype}, up to "
                f"{plan.max_num_seqs:,} sequences and {plan.max_num_batched_tokens:,} tokens a step"
                f"{', no CUDA graphs' * plan.enforce_eager}{', drafts tokens' * plan.drafting}"
            ),
        )
        if speed := _speed(plan):
            yield "Speed", Text(speed)
    for label, lines in (("Why", plan.reasons), ("Advice", plan.advice)):
        if lines:
            points = Table.grid(padding=(0, 1))
            for line in lines:
                points.add_row("-", Text(line))
            yield label, points


def _capacity(plan: Plan) -> str:
    each = f", on each of {plan.layout.dp} data-parallel ranks" if plan.layout.dp > 1 else ""
    return (
        f"{plan.kv_tokens:,} tokens of KV cache: {plan.max_concurrency:,.1f} requests of the full "
        f"{plan.max_model_len:,} at once{each}"
    )


def _speed(plan: Plan) -> str:
    """Bounds, called so: no engine is faster, most are slower."""
    speed, words = plan.speed, []
    if speed.decode_batch1 is not None:
        words.append(f"at most {figure(speed.decode_batch1)} tokens/s for a single stream")
    if speed.prefill is not None:
        words.append(f"at most {figure(speed.prefill)} tokens/s of prompt")
    if speed.cost_per_million is not None:
        words.append(f"at least {speed.cost_per_million:,.2f} per million output tokens, all busy")
    return f"{'; '.join(words)} (bounds, not forecasts)" if words else ""


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def paste(command: NodeCommand) -> str:
    """The command as a shell takes it: one flag with its values is never torn apart."""
    words = [f"{key}={shlex.quote(value)}" for key, value in command.env.items()]
    start = len(words)
    flags = [i for i, word in enumerate(command.argv) if word.startswith("--")] or [1]
    words.append(shlex.join(command.argv[: flags[0]]))
    words += [
        shlex.join(command.argv[here:there])
        for here, there in zip(flags, [*flags[1:], None], strict=True)
    ]
    lines = [words[0]]
    for at, word in enumerate(words[1:], 1):
        if at != start and len(lines[-1]) + 1 + len(word) <= PASTE - 2:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}")
    return " \\\n".join(line for line in lines if line.strip())


@dataclass(frozen=True)
class Bar:
    """One device's memory, drawn to scale, its parts named below."""

    plan: Plan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plan, total = self.plan, self.plan.cluster.memory_gib
        over = plan.overhead.total if plan.overhead else 0.0
        sizes = [max(0.0, size) / GIB for size in (plan.weights_bytes, over, plan.kv_bytes)]
        sizes.append(max(0.0, total - sum(sizes)))
        width = max(1, min(BAR, options.max_width - 20))
        ends = [round(width * sum(sizes[:n]) / max(total, sum(sizes))) for n in range(5)]
        bar, key = Text(no_wrap=True), Text()
        for (name, colour, mark, plain), size, a, b in zip(
            PARTS, sizes, ends, ends[1:], strict=False
        ):
            sign = plain if options.ascii_only else mark
            bar.append(sign * (b - a), colour)
            key.append(f"{sign} ", colour).append(f"{name} {size:,.1f}  ")
        yield bar.append(f" {total:,.1f} GiB a device")
        yield key

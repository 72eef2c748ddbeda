"""Many things at once for people: every model on this hardware, and what the catalog knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seekserve.plan.facts import Accelerator, CatalogModel
from seekserve.plan.memory import GIB
from seekserve.plan.report import COLOURS, WORDS, figure, sized
from seekserve.plan.wish import Plan
from seekserve.settings import Rung, Tier

UNCUT = 10_000  # columns: more than any table asks for
WIDE = 118  # columns from which a survey has room for the reasons beside the figures


def survey(plans: Sequence[Plan]) -> RenderableType:
    """Every model on one cluster, `plans` the best first."""
    return Survey(tuple(plans))


def best(plans: Iterable[Plan]) -> Plan | None:
    """The first that runs."""
    return next((plan for plan in plans if plan.verdict != "does_not_fit"), None)


def _flags(plan: Plan) -> str:
    """What asks for this very plan: a tier's choice is not always what a model gets by itself."""
    return (
        f"--model {plan.subject.name} --weights {plan.weights} --kv-cache-dtype {plan.kv_cache_dtype} "
        f"--max-num-seqs {plan.max_num_seqs} --max-model-len {plan.max_model_len}"
    )


@dataclass(frozen=True)
class Survey:
    """What runs, with its figures; then what is too large; then what cannot run, by the reason."""

    plans: tuple[Plan, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        runs = [plan for plan in self.plans if plan.verdict != "does_not_fit"]
        rest = [plan for plan in self.plans if plan.verdict == "does_not_fit"]
        large = [plan for plan in rest if sized(plan)]
        if self.plans:
            yield Text(f"\n{self.plans[0].cluster.words}\n", style="bold")
        if runs:
            yield Whole(_runs(runs, options.max_width >= WIDE))
            yield Text(f"* the best. For its command add {_flags(runs[0])}\n")
        else:
            yield Text("No model of the catalog fits.\n", style="red")
        if large:
            yield Whole(_large(large))
            yield Text()
        refused = [plan for plan in rest if not sized(plan)]
        for reason in dict.fromkeys(_why(plan) for plan in refused):
            names = ", ".join(plan.subject.name for plan in refused if _why(plan) == reason)
            yield Text(reason, style="bold")
            yield Padding(names, (0, 0, 1, 2), expand=False)


@dataclass(frozen=True)
class Whole:
    """A table that is never cut: it runs over the edge of a window that is too narrow for its ids."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        free = options.update(width=UNCUT)
        for column in self.table.columns:
            if column.no_wrap:
                cells = (column.header, *column.cells)
                sizes = [Measurement.get(console, free, cell).maximum for cell in cells]
                column.min_width = max(sizes)
        least = Measurement.get(console, free, self.table).minimum
        yield from console.render(self.table, options.update(width=max(least, options.max_width)))


def _runs(plans: Sequence[Plan], wide: bool) -> Table:
    columns = ("", "model", "weights", " ", "layout", ">context", ">at once", ">tok/s")
    table = _table(*columns, *(("~why",) if wide else ()), gap=int(wide))
    table.caption = "at once: requests of the full context. tok/s: bound of a single stream."
    for place, plan in enumerate(plans):
        decode = plan.speed.decode_batch1
        row = (
            "*" if place == 0 else "",
            plan.subject.name,
            plan.weights,
            Text(WORDS[plan.verdict], COLOURS[plan.verdict]),
            short_layout(plan),
            _tokens(plan.max_model_len),
            f"{plan.max_concurrency:,.1f}",
            "-" if decode is None else figure(decode),
        )
        why = (Text(_why(plan)),) if wide else ()
        table.add_row(*row, *why, style="bold" if place == 0 else None)
    return table


def _large(plans: Sequence[Plan]) -> Table:
    table = _table("", "too large", "weights", ">needs GiB a device", ">of")
    for plan in plans:
        over = plan.overhead.total if plan.overhead else 0.0
        needed = (plan.weights_bytes + over + plan.request_bytes) / GIB
        budget = plan.utilization * plan.cluster.memory_gib
        table.add_row("", plan.subject.name, plan.weights, f"{needed:,.1f}", f"{budget:,.1f}")
    return table


def _why(plan: Plan) -> str:
    return plan.reasons[0] if plan.reasons else ""


def _tokens(number: int) -> str:
    """Exact either way: 131,072 is 128K, 30,000 stays."""
    return f"{number:,}" if number % 1024 else f"{number // 1024:,}K"


def short_layout(plan: Plan) -> str:
    """Such as "TP8 PP2", "DP8 EP"; "-" for one device."""
    layout = plan.layout
    sizes = (("TP", layout.tp), ("PP", layout.pp), ("DP", layout.dp), ("DCP", layout.dcp))
    words = [f"{name}{size}" for name, size in sizes if size > 1]
    return " ".join([*words, *(["EP"] if layout.ep else [])]) or "-"


def accelerators(entries: Iterable[Accelerator]) -> Whole:
    table = _table("id", "~name", ">GiB", ">GB/s", ">TFLOPS", "~link", "platform")
    for entry in entries:
        memory = "host's" if entry.memory_gib is None else f"{entry.memory_gib:.1f}"
        rate = next((f"{entry.tflops[k]:,.0f}" for k in ("bf16", "fp16") if k in entry.tflops), "-")
        link = f"{entry.link.name}" if entry.link else "-"
        name = entry.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        speed = f"{entry.bandwidth_gbs:,.0f}"
        table.add_row(entry.id, Text(name), memory, speed, rate, Text(link), entry.platform)
    table.caption = "TFLOPS: dense, 16 bit. All figures are of one device as vLLM sees it."
    return Whole(table)


def models(entries: Iterable[CatalogModel]) -> Whole:
    table = _table("id", ">billions", ">context", "kind", "~licence", "~weights", gap=0)
    for entry in entries:
        size = f"{entry.params_b:g}"
        size += "" if entry.active_b == entry.params_b else f"/{entry.active_b:g}"
        formats = Text(" ".join(entry.weights))
        context = _tokens(entry.context)
        table.add_row(entry.id, size, context, entry.kind, Text(entry.licence), formats)
    table.caption = "billions: of parameters, and how many of them a token uses."
    return Whole(table)


@dataclass(frozen=True)
class Tiers:
    """Each tier, what it is for, and its ladder: the first rung that fits is taken."""

    entries: tuple[Tier, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for entry in self.entries:
            yield Text.assemble((entry.tier, "bold"), f"  {' '.join(entry.about.split())}")
            if entry.ladder:
                yield Whole(_ladder(entry.ladder))
            elif "model" in entry.engine.model_fields_set:
                yield Text(f"  {entry.engine.model}")
            yield Text()
        yield Text("least context: what a rung must reach to be taken. any: the planner's choice.")


def tiers(entries: Iterable[Tier]) -> Tiers:
    return Tiers(tuple(entries))


def _ladder(rungs: Iterable[Rung]) -> Table:
    table = _table("", "model", "weights", ">least context", "~")
    for rung in rungs:
        cache = f"{rung.kv_cache_dtype} cache" if rung.kv_cache_dtype else ""
        only = f"only on {', '.join(rung.platforms)}" if rung.platforms else ""
        never = f"not on {', '.join(rung.not_arch)}" if rung.not_arch else ""
        notes = ", ".join(filter(None, (cache, only, never)))
        table.add_row("", rung.model, rung.weights or "any", _tokens(rung.context), Text(notes))
    return table


def _table(*columns: str, gap: int = 1) -> Table:
    """`>` sets a column to the right. Only those with `~` may be torn: ids are there to be copied."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False, caption_justify="left"
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        fixed = not column.startswith("~")
        table.add_column(column.lstrip(">~"), justify=justify, no_wrap=fixed, overflow="fold")
    return table

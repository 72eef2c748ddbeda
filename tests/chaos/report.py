"""What is printed of a run: its schedule before, its faults and its verdict after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tests.chaos.figures import Figure
from tests.chaos.records import Run, Stroke
from tests.chaos.schedule import Fault
from tests.chaos.verdict import Bar, none_ready

MOST_NAMED = 12


def planned(console: Console, seed: int, faults: Sequence[Fault]) -> None:
    console.print(f"seed {seed}: {len(faults)} faults")
    for fault in faults:
        console.print(f"  {fault}", highlight=False)


def told(console: Console, run: Run, bars: Sequence[Bar]) -> bool:
    """Whether every bar held."""
    console.print(_faults(run.strokes))
    if run.left_out:
        console.print(f"{run.left_out} faults came too late and were left out")
    console.print(f"refusals and errors: {_reasons(run)}")
    spans = [end - start for start, end in none_ready(run)]
    console.print(f"no engine ready: {len(spans)} times, {sum(spans):.1f} s in all")
    rows = Table(box=box.SIMPLE_HEAD)
    for title in ("bar", "found", ""):
        rows.add_column(title)
    for bar in bars:
        rows.add_row(
            bar.name, bar.found, "[green]holds[/green]" if bar.holds else "[red]MISSED[/red]"
        )
    console.print(rows)
    for bar in bars:
        _missed(console, bar)
    return all(bar.holds for bar in bars)


def _missed(console: Console, bar: Bar) -> None:
    if bar.holds:
        return
    console.print(f"[red]{bar.name}[/red], {len(bar.by)}:")
    for name in bar.by[:MOST_NAMED]:
        console.print(f"  {name}", highlight=False, markup=False)
    if len(bar.by) > MOST_NAMED:
        console.print(f"  and {len(bar.by) - MOST_NAMED} more")


def _reasons(run: Run) -> str:
    found = Counter(
        f"{record.outcome.way} {record.outcome.why}"
        for record in run.records
        if record.outcome.way != "answered"
    )
    return ", ".join(f"{count} x {why}" for why, count in found.most_common()) or "none"


def _faults(strokes: Sequence[Stroke]) -> Table:
    rows = Table(box=box.SIMPLE_HEAD)
    for title in ("fault", "times", "fenced after its last token", "ready again after", ""):
        rows.add_column(title, justify="left" if title in ("fault", "") else "right")
    for kind in sorted({stroke.kind for stroke in strokes}):
        some = [stroke for stroke in strokes if stroke.kind == kind]
        notes = sorted({stroke.note for stroke in some if stroke.note})
        fenced, back = _times(s.fence_s for s in some), _times(s.back_s for s in some)
        rows.add_row(kind, str(len(some)), fenced, back, "; ".join(notes)[:100])
    return rows


def _times(seconds: Iterable[float | None]) -> str:
    known = [f"{one:.1f}" for one in seconds if one is not None]
    return f"{', '.join(known)} s" if known else ""


def figures(console: Console, found: Sequence[Figure]) -> bool:
    rows = Table(box=box.SIMPLE_HEAD)
    for title in ("figure", "bar", "measured", ""):
        rows.add_column(title)
    for one in found:
        rows.add_row(
            one.name,
            one.bar,
            one.found,
            "[green]holds[/green]" if one.holds else "[red]MISSED[/red]",
        )
    console.print(rows)
    return bool(found) and all(one.holds for one in found)

"""From samples to rows, and from rows to the table and its JSON."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich import box
from rich.table import Table

from .contestants import BASELINE, NO_PROXY
from .measure import Memory, differences, median, ratio
from .rounds import Kind, Sample, Workload

_NOTHING: Final = "—"


@dataclass(slots=True)
class Row:
    """One contestant: what it was given, what it did, or why it did not run."""

    name: str
    given: str
    absent: str = ""
    idle: Memory = field(default_factory=Memory)
    samples: list[Sample] = field(default_factory=list)
    tokens_per_s: list[float] = field(default_factory=list)  # the demo engine, when asked for

    def of(self, kind: Kind) -> list[Sample]:
        return [sample for sample in self.samples if sample.kind == kind and sample.result.streams]

    def series(self, kind: Kind, value: Callable[[Sample], float]) -> list[float]:
        return [value(sample) for sample in self.of(kind)]

    @property
    def lost(self) -> int:
        return sum(sample.result.lost for sample in self.samples)

    @property
    def failed(self) -> int:
        return sum(sample.result.failed for sample in self.samples)

    @property
    def error(self) -> str:
        return next((sample.result.error for sample in self.samples if sample.result.error), "")


def _rate(sample: Sample) -> float:
    return sample.rate


def _cpu(sample: Sample) -> float:
    return sample.cpu_us


def _rss(sample: Sample) -> float:
    return sample.peak.rss


def _pss(sample: Sample) -> float:
    return sample.peak.pss


def _first(share: float) -> Callable[[Sample], float]:
    return lambda sample: sample.ttft_ms(share)


def figures(row: Row, direct: Row, base: Row) -> dict[str, float | None]:
    """A row's figures: medians over rounds, and ratios taken within each round."""

    def versus(kind: Kind, value: Callable[[Sample], float]) -> float | None:
        return ratio(row.series(kind, value), base.series(kind, value))

    def added(share: float) -> float | None:
        first = _first(share)
        return median(differences(row.series("paced", first), direct.series("paced", first)))

    return {
        "streams_per_s": median(row.series("unpaced", _rate)),
        "streams_ratio": versus("unpaced", _rate),
        "cpu_us_per_chunk": median(row.series("paced", _cpu)) if row is not direct else None,
        "cpu_ratio": versus("paced", _cpu) if row is not direct else None,
        "short_cpu_us_per_chunk": median(row.series("short", _cpu)) if row is not direct else None,
        "short_cpu_ratio": versus("short", _cpu) if row is not direct else None,
        "added_ttft_p50_ms": added(0.5),
        "added_ttft_p99_ms": added(0.99),
        "idle_rss_mib": row.idle.rss or None,
        "held_rss_mib": median(row.series("held", _rss)) if row is not direct else None,
        "held_pss_mib": median(row.series("held", _pss)) if row is not direct else None,
        "held_ratio": versus("held", _rss) if row is not direct else None,
        "tokens_per_s": median(row.tokens_per_s),
        "tokens_ratio": ratio(row.tokens_per_s, direct.tokens_per_s),
    }


def _cell(value: float | None, digits: int = 0, factor: float | None = None) -> str:
    if value is None:
        return _NOTHING
    text = f"{value:,.{digits}f}"
    return f"{text} [dim]{factor:5.2f}×[/dim]" if factor is not None else text


def _columns(table: Table, with_engine: bool) -> None:
    table.add_column("", no_wrap=True)
    for title in (
        "unpaced\nstreams/s",
        "paced CPU\nµs/chunk",
        "short\nµs/chunk",
        "first token\n+p50 ms",
        "\n+p99 ms",
        "chunks lost\n(streams)",
        "1,000 open\nRSS MiB",
        *(["demo engine\ntokens/s"] if with_engine else []),
    ):
        table.add_column(title, justify="right", overflow="fold")


def _about(rows: Sequence[Row], workloads: Sequence[Workload]) -> str:
    lines = [f"{load.kind}: {load.about} (median of {load.rounds})" for load in workloads]
    lines += [f"{row.name}: {row.given}" for row in rows]
    lines.append(f"× is against {BASELINE}, the engine's against no proxy; + is over no proxy.")
    lines.append("Unpaced, the mock is the limit over TCP: a write there costs it thrice as much.")
    return "\n".join(lines)


def _loss(row: Row) -> str:
    return f"[red]{row.lost} ({row.failed})[/red]" if row.failed or row.lost else "0"


def _cells(row: Row, direct: Row, base: Row, with_engine: bool) -> list[str]:
    if row.absent:
        why = row.absent if row.absent.startswith("not installed") else "did not start"
        return [row.name, f"[yellow]{why.partition('(')[0].strip()}[/yellow]"]
    cells = figures(row, direct, base)
    return [
        row.name,
        _cell(cells["streams_per_s"], 0, cells["streams_ratio"]),
        _cell(cells["cpu_us_per_chunk"], 1, cells["cpu_ratio"]),
        _cell(cells["short_cpu_us_per_chunk"], 1, cells["short_cpu_ratio"]),
        _cell(cells["added_ttft_p50_ms"] if row is not direct else None, 2),
        _cell(cells["added_ttft_p99_ms"] if row is not direct else None, 2),
        _loss(row),
        _cell(cells["held_rss_mib"], 0, cells["held_ratio"]),
        *([_cell(cells["tokens_per_s"], 0, cells["tokens_ratio"])] if with_engine else []),
    ]


def render(rows: Sequence[Row], workloads: Sequence[Workload]) -> Table:
    """The one table. Its caption says what was run and what each was given."""
    by_name = {row.name: row for row in rows}
    with_engine = any(row.tokens_per_s for row in rows)
    table = Table(box=box.SIMPLE_HEAD, caption=_about(rows, workloads), caption_justify="left")
    _columns(table, with_engine)
    for row in rows:
        table.add_row(*_cells(row, by_name[NO_PROXY], by_name[BASELINE], with_engine))
    return table


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every row with its figures and each round's raw numbers."""
    by_name = {row.name: row for row in rows}
    direct, base = by_name[NO_PROXY], by_name[BASELINE]
    return [
        {
            "name": row.name,
            "given": row.given,
            "absent": row.absent,
            "lost": row.lost,
            "failed": row.failed,
            "error": row.error,
            "figures": {} if row.absent else figures(row, direct, base),
            "samples": [_raw(sample) for sample in row.samples],
        }
        for row in rows
    ]


def _raw(sample: Sample) -> dict[str, Any]:
    raw = asdict(sample)
    times = raw["result"].pop("ttft_ms")
    if times:
        raw["ttft_ms"] = {"p50": sample.ttft_ms(0.5), "p99": sample.ttft_ms(0.99)}
    return raw

"""From what was written down to the bars of the issue, each held or missed, and by whom. Pure.

Whoever misses a bar is named by the id of its request: never what it asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.chaos.records import Record, Run, Span

BILLED = {
    "chat": "chat",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
}
OVERLOAD = frozenset({"queue_full", "rate_limit_exceeded"})
"""Reasons in the ledger that tell of too much to do; unless it was an engine that said so."""
ENGINES_OWN = "The engine is full"


@dataclass(frozen=True, slots=True)
class Bar:
    """`by` names what misses it."""

    name: str
    found: str
    by: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.by


def verdict(run: Run) -> list[Bar]:
    return [
        _ended(run.records),
        _in_time(run.records),
        _spared(run),
        _nothing_left(run),
        *_ledger(run),
        _same_text(run),
        _engines(run),
        Bar("defects in the server's log", str(len(run.defects)), tuple(run.defects)),
        Bar("exit code after SIGTERM", f"{run.exit_code}", () if run.exit_code == 0 else ("the server",)),
    ]  # fmt: skip


def named(records: Iterable[Record]) -> tuple[str, ...]:
    return tuple(
        f"{r.id} ({r.ask.name}: {r.outcome.way} {r.outcome.why} {r.outcome.told})" for r in records
    )


def _ended(records: Sequence[Record]) -> Bar:
    """One that nobody answered at all is no proof of anything."""
    ways = Counter(record.outcome.way for record in records)
    told = ", ".join(f"{ways[way]} {way}" for way in ("answered", "refused", "error", "lost"))
    lost = named(record for record in records if record.outcome.way == "lost")
    return Bar("every request ends in exactly one way", told, lost or _unless(ways["answered"] > 0))


def _in_time(records: Sequence[Record]) -> Bar:
    late = [record for record in records if record.late]
    longest = max((record.ended - record.sent for record in records), default=0.0)
    return Bar("none past its deadline", f"{len(late)} (longest {longest:.1f} s)", named(late))


def _spared(run: Run) -> Bar:
    """Refused for an engine's sake before a word was said, though another was ready all the while."""
    reasons = {id_: reason for id_, _, _, reason in run.rows}
    failed = [
        record
        for record in run.records
        if record.outcome.way == "refused"
        and not _overload(record, reasons)
        and not _touches(record, none_ready(run))
    ]
    return Bar("not started when an engine died, failed", str(len(failed)), named(failed))


def _overload(record: Record, reasons: Mapping[str, str]) -> bool:
    """Anthropic's shape has no codes, so the ledger is asked."""
    reason = reasons.get(record.id) or record.outcome.why.rpartition(" ")[2]
    return reason in OVERLOAD and not record.outcome.told.startswith(ENGINES_OWN)


def none_ready(run: Run) -> list[Span]:
    """The spans in which every engine was down."""
    engines = list(run.down.values())
    spans = engines[0] if engines else []
    for others in engines[1:]:
        spans = list(_common(spans, others))
    return spans


def _common(some: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    for a, b in some:
        for c, d in others:
            if max(a, c) < min(b, d):
                yield max(a, c), min(b, d)


def _touches(record: Record, spans: Iterable[Span]) -> bool:
    return any(record.sent < end and record.ended > start for start, end in spans)


def _nothing_left(run: Run) -> Bar:
    left = {name: round(value) for name, value in asdict(run.left).items() if value > 0}
    told = ", ".join(f"{value} {name}" for name, value in left.items()) or "0"
    by = tuple(f"{value} {name.replace('_', ' ')}" for name, value in left.items())
    return Bar("places, tasks, sockets, engine requests left after 5 s", told, by)


def _ledger(run: Run) -> Iterator[Bar]:
    """Both ways: each answer has its one row, and each row of an answer its request."""
    answered = {r.id: BILLED[r.ask.dialect] for r in run.records if r.outcome.way == "answered"}
    asked = {record.id for record in run.records}
    rows = [(id_, route) for id_, route, status, reason in run.rows if status == 200 and not reason]
    count = Counter(row for row in rows if row[0] in asked)
    without = [id_ for id_, route in answered.items() if count[id_, route] != 1]
    beyond = [id_ for id_, _ in count if id_ not in answered]
    by = (
        *(f"{id_}: no row of its own" for id_ in without),
        *(f"{id_}: a row too many" for id_ in beyond),
    )
    yield Bar("answered requests, ledger rows", f"{len(answered)}, {sum(count.values())}", by)
    lost = (f"{run.rows_lost:.0f} rows",) if run.rows_lost else ()
    yield Bar("ledger rows lost", f"{run.rows_lost:.0f}", lost)


def _same_text(run: Run) -> Bar:
    """Errors are no whole texts: what they said is the beginning of one."""
    wrong, compared = [], 0
    for record in run.records:
        true, told = run.unbroken[record.ask.name], record.outcome
        if told.way == "answered":
            compared += 1
            if (told.text, told.usage) != (true.text, true.usage):
                wrong.append(record)
        elif told.way == "error" and not true.text.startswith(told.text):
            wrong.append(record)
    return Bar("greedy answers as unbroken", f"{compared - len(wrong)} of {compared}", named(wrong))


def _engines(run: Run) -> Bar:
    """Those that were struck are back, and none was given up that was not."""
    gone = [
        f"{s.kind} of engine-{s.engine}"
        for s in run.strokes
        if s.engine is not None and s.back_at is None
    ]
    struck = [s for s in run.strokes if s.engine is not None]
    innocent = [
        f"engine-{engine} at {start:.1f}"
        for engine, spans in enumerate(run.down.values())
        for start, _ in spans
        if not any(s.engine == engine and s.at <= start <= (s.back_at or start) for s in struck)
    ]
    told = f"{len(gone)} not back, {len(innocent)} given up without a cause"
    return Bar("engines", told, (*gone, *innocent))


def _unless(holds: bool) -> tuple[str, ...]:
    return () if holds else ("no request was answered",)

"""What is asked of the contestants, and the rows that come of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.bench.measure import percentile

from . import figures
from .figures import Seen
from .rows import Row
from .runs import GRACE_S, Bench, alone, measure_capacity, through
from .stand import FAKE as H100
from .stand import SHARES
from .trace import Stream, merged

OVERLOAD: Final = 3.0
QUIET_LOAD: Final = 0.7
FLOOD: Final = 5.0
ENTERPRISE: Final = 0.25
MANY: Final = 50
SMALL: Final = 64  # sequences: on 512, fifty times a fair share would be 1,600 requests a second

Scenario = Callable[[Bench], Awaitable[list[Row]]]


def caps(bench: Bench) -> Mapping[str, dict[str, int]]:
    """(b) as vLLM documents it: the target by prefill throughput, taken as what the engine reads at
    full load, or as what it could read if it did nothing else; or a cap on requests, generously.
    """
    full = {"max_num_queued_tokens": round(bench.target_s * bench.capacity.read_per_s)}
    pure = {"max_num_queued_tokens": round(bench.target_s * 120_000)}
    many = {"max_num_queued_reqs": 2 * bench.stand.kind.sequences}
    found = {"tokens at full load": full, "requests": many}
    return found if bench.stand.kind is not H100 else {**found, "tokens if it only read": pure}


async def overload(bench: Bench) -> list[Row]:
    """Three times what can be done, one class, one key."""
    stream = Stream("public", OVERLOAD * bench.capacity.per_s, 0, bench.spans.overload)
    trace, grace_s = merged([stream], bench.mix), bench.target_s + GRACE_S
    bare = figures.met(await alone(bench, trace, grace_s), bench.target_s)
    capped = {
        name: figures.met(await alone(bench, trace, grace_s, **cap), bench.target_s)
        for name, cap in caps(bench).items()
    }
    seen, waits = await through(bench, trace, grace_s)
    ours = figures.met(seen, bench.target_s)
    best = max(capped, key=lambda name: capped[name])
    rest = ", ".join(f"{name}: {count}" for name, count in capped.items())
    return [
        _times("3x: in time, against the engine", ours, bare, 3.0, f"{ours} against {bare}"),
        _times(f"3x: against its caps ({best})", ours, capped[best], 1.3, rest),
        *_honest(seen, waits, bench.target_s),
    ]


def _times(what: str, ours: float, others: float, bar: float, note: str) -> Row:
    value = ours / max(others, 1e-9)
    raw = {"ratio": value, "ours": ours, "others": others}
    return Row(what, f"{value:.2f}x", f">= {bar:g}x", value >= bar, note, raw)


def _honest(seen: list[Seen], waits: list[tuple[float, float]], target_s: float) -> list[Row]:
    """Of what seekserve let in and of what it refused."""
    kept, said = figures.kept(seen, target_s), figures.refusals_s(seen)
    told = sum(bool(one.retry_after) for one in seen if one.refused)
    late = sum(one > figures.LATE_S for one in said)
    p50, p99 = (1e3 * percentile(said or [0.0], share) for share in (0.5, 0.99))
    error = figures.error(waits)
    note = f"{len(said)} refused, {late} after a wait; Retry-After on {told}"
    bias = figures.bias(waits)
    return [
        Row(
            "3x: of what is admitted, in time", f"{kept:.1%}", ">= 95%", kept >= 0.95,
            f"p99 {figures.first_s(seen, 0.99):.2f} s of {target_s:g}", {"kept": kept},
        ),
        Row(
            "3x: refusal latency p99", f"{p99:.1f} ms", "<= 20 ms", bool(said) and p99 <= 20,
            f"p50 {p50:.1f} ms; {note}", {"p50_ms": p50, "p99_ms": p99, "late": late},
        ),
        Row(
            "3x: waiting estimate, median error", "none" if error is None else f"{error:.0%}",
            "<= 30%", error is not None and error <= 0.3,
            f"{len(waits)} waited; told by found {bias:.2f} (median)", {"error": error},
        ),
    ]  # fmt: skip


async def no_overload(bench: Bench) -> list[Row]:
    """What the gateway costs in throughput while there is room for all."""
    stream = Stream("public", QUIET_LOAD * bench.capacity.per_s, 0, bench.spans.quiet)
    trace, grace_s = merged([stream], bench.mix), 4 * bench.spans.drain
    bare = await alone(bench, trace, grace_s)
    ours, _ = await through(bench, trace, grace_s)
    speeds = [_speed(ours), _speed(bare)]
    firsts = [figures.first_s(seen, 0.5) * 1e3 for seen in (ours, bare)]
    note = f"tokens/s {speeds[0]:.0f} against {speeds[1]:.0f}; first token p50 " + (
        f"{firsts[0]:.0f} against {firsts[1]:.0f} ms"
    )
    what = "0.7x: throughput against the engine"
    return [_times(what, speeds[0], speeds[1], 0.98, note)]


def _speed(seen: Sequence[Seen]) -> float:
    """Tokens per second until the last answer was whole."""
    last = max((one.at + one.ended_s for one in seen if one.ended_s), default=1.0)
    return sum(one.tokens for one in seen) / last


async def isolation(bench: Bench) -> list[Row]:
    """Enterprise by itself; then the same, and public with five times what can be done."""
    half, settle = bench.spans.isolation, bench.spans.settle / 3
    begin = settle + half
    streams = [
        Stream("enterprise", ENTERPRISE * bench.capacity.per_s, 0, begin + half),
        Stream("public", FLOOD * bench.capacity.per_s, begin, begin + half),
    ]
    seen, _ = await through(bench, merged(streams, bench.mix), bench.target_s + GRACE_S)
    before = figures.of(seen, "enterprise", settle, begin)
    during = figures.of(seen, "enterprise", begin)
    firsts = [figures.first_s(part, 0.99) * 1e3 for part in (during, before)]
    middles = [figures.first_s(part, 0.5) * 1e3 for part in (during, before)]
    value = firsts[0] / firsts[1]
    refused = sum(one.refused for one in during)
    note = (
        f"p99 {firsts[0]:.0f} against {firsts[1]:.0f} ms, p50 {middles[0]:.0f} against "
        f"{middles[1]:.0f}; {refused} of {len(during)} refused"
    )
    raw: dict[str, Any] = {"p99_ms": firsts, "p50_ms": middles, "refused": refused}
    met = value <= 1.5 and not refused
    return [Row("enterprise p99 while public floods", f"{value:.2f}x", "<= 1.5x", met, note, raw)]


async def shares(bench: Bench) -> list[Row]:
    """Every class with twice its share of work, for a minute."""
    begin, end = bench.spans.settle, bench.spans.settle + bench.spans.shares
    streams = [Stream(name, 2 * s * bench.capacity.per_s, 0, end) for name, s in SHARES.items()]
    seen, _ = await through(bench, merged(streams, bench.mix), bench.spans.drain)
    work = {name: figures.work(figures.of(seen, name), begin, end) for name in SHARES}
    total = sum(work.values())
    off = {name: work[name] / total / share - 1 for name, share in SHARES.items()}
    worst = max(map(abs, off.values()))
    note = ", ".join(f"{name} {work[name] / total:.3f} of {SHARES[name]}" for name in SHARES)
    what = f"shares over {bench.spans.shares:.0f} s, furthest off"
    return [Row(what, f"{worst:.1%}", "<= 5%", worst <= 0.05, note, {"off": off})]


async def equal_keys(bench: Bench) -> list[Row]:
    """Two keys of one class, on fewer sequences: one asks for its fair share, one for fifty times that."""
    mix = replace(bench.mix, output=2 * bench.mix.output, output_spread=2 * bench.mix.output_spread)
    small = await measure_capacity(bench.stand, mix, bench.spans, SMALL)
    begin, end = bench.spans.settle, bench.spans.settle + bench.spans.keys
    fair = 0.55 * small.per_s  # a little more, since arrivals come in heaps
    streams = [Stream("quiet", fair, 0, end), Stream("busy", MANY * fair, 0, end)]
    few = replace(bench, mix=mix)
    seen, _ = await through(few, merged(streams, mix), bench.spans.drain, SMALL)
    work = [figures.work(figures.of(seen, key), begin, end) for key in ("quiet", "busy")]
    value = figures.jain(work)
    refused = sum(one.refused for one in figures.of(seen, "quiet"))
    note = f"{SMALL} sequences; quiet got {work[0] / sum(work):.1%}, was refused {refused} times"
    return [Row("two keys, one sends 50x: Jain", f"{value:.3f}", ">= 0.95", value >= 0.95, note)]


FAKE: Final[Mapping[str, Scenario]] = {
    "3x overload": overload,
    "isolation": isolation,
    "shares": shares,
    "equal keys": equal_keys,
    "no overload": no_overload,
}
REAL: Final[Mapping[str, Scenario]] = {
    "3x overload": overload,
    "isolation": isolation,
    "no overload": no_overload,
}

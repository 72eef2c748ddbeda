"""The workloads, and one turn of one contestant at one of them."""

import asyncio
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from . import measure
from .contestants import KEY
from .launch import NotStartedError, output
from .load import Result, Work

Kind = Literal["unpaced", "paced", "short", "held"]
_LIMIT_S: Final = 40.0
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Workload:
    """What the load generator is asked for, in which rounds, and how long a turn should take."""

    kind: Kind
    about: str
    work: Work
    rounds: int
    usual_s: float


def _work(**fields: Any) -> Work:
    return Work(address="", key=KEY, timeout_s=_LIMIT_S, **fields)


FULL: Final = (
    Workload(
        "unpaced",
        "64 streams at once, 100 chunks each, as fast as they go",
        _work(connections=64, seconds=2.0, nap_ms=1.0),
        rounds=5,
        usual_s=3,
    ),
    Workload(
        "short",
        "256 streams at once, 50 chunks/s each, 100 chunks long: what a request costs weighs more",
        _work(connections=256, streams_each=2, ramp_s=2.0, pace_ms=20),
        rounds=2,
        usual_s=7,
    ),
    Workload(
        "paced",
        "256 streams at once, 50 chunks/s each, 400 chunks long",
        _work(connections=256, streams_each=1, ramp_s=2.0, pace_ms=20, tokens=400),
        rounds=3,
        usual_s=11,
    ),
    Workload(
        "held",
        "1,000 streams held open at 1 chunk/s",
        _work(connections=1000, streams_each=1, ramp_s=2.0, pace_ms=1000, tokens=5),
        rounds=2,
        usual_s=8,
    ),
)
_FEWER: Final[tuple[dict[str, Any], ...]] = (
    {"seconds": 0.5},
    {"streams_each": 1, "tokens": 25, "ramp_s": 1.0},
    {"tokens": 100, "ramp_s": 1.0},
    {"tokens": 2, "ramp_s": 0.5},
)
QUICK: Final = tuple(
    replace(load, rounds=1, usual_s=3, work=replace(load.work, **fewer))
    for load, fewer in zip(FULL, _FEWER, strict=True)
)


@dataclass(slots=True)
class Sample:
    """One turn: what the load generator saw, what the proxy spent and at most held."""

    kind: Kind
    result: Result
    cpu_s: float = 0.0
    peak: measure.Memory = field(default_factory=measure.Memory)

    @property
    def rate(self) -> float:
        """Streams finished a second."""
        return self.result.streams / self.result.seconds if self.result.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """Processor time of the proxy for each chunk relayed, the request's share included."""
        return self.cpu_s / self.result.chunks * 1e6 if self.result.chunks else 0.0

    def ttft_ms(self, share: float) -> float:
        """This share of the streams had their first token by then."""
        return measure.percentile(self.result.ttft_ms, share)


async def turn(workload: Workload, address: str, pid: int | None) -> Sample:
    """One contestant's turn. `pid` is the proxy to watch; none stands between when it is None."""
    work = replace(workload.work, address=address)
    watch = asyncio.create_task(_peak(pid if workload.kind == "held" else None))
    before = measure.cpu_seconds(pid) if pid else 0.0
    try:
        result = await _load(work)
    finally:
        watch.cancel()
    spent = measure.cpu_seconds(pid) - before if pid else 0.0
    return Sample(workload.kind, result, spent, await watch)


async def _load(work: Work) -> Result:
    argv = ["-m", "tests.bench.load"]
    for name, value in asdict(work).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            argv.append(f"--{option}" if value else f"--no-{option}")
        else:
            argv.append(f"--{option}={value}")
    try:
        return Result(**json.loads(await output(argv, work.timeout_s + work.ramp_s + 20)))
    except (NotStartedError, TimeoutError) as error:
        lost = work.connections * max(1, work.streams_each) * work.tokens
        return Result(failed=work.connections, lost=lost, error=str(error) or "no answer in time")


async def _peak(pid: int | None) -> measure.Memory:
    """The most that was resident at once, looked at until cancelled."""
    peak = measure.Memory()
    try:
        while pid is not None:
            peak = max(peak, measure.memory(pid), key=lambda memory: memory.rss)
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:
        pass
    return peak

"""What the ledger costs a request on the event loop: `python -m tests.bench.ledger_cost`.

Times `settle` (trace to row, what the key has spent, the queue) while the writing thread is at work,
as it is under load; and, for the thread, how many rows a second reach the disk.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from seekserve.gateway.ledger import Ledger
from seekserve.gateway.record import Trace
from seekserve.log import Log
from seekserve.settings import Prices, Tier

ROWS: Final = 2_000
ROUNDS: Final = 9
TOKENS: Final = {"prompt": 900, "cached": 512, "reasoning": 120, "completion": 340}


def traces(round_: int) -> list[Trace]:
    made = []
    for number in range(ROWS):
        trace = Trace("given", 1.0, f"{round_:08x}{number:024x}", route="chat", model="deepseek-v3")
        trace.key, trace.key_class, trace.status, trace.finish = "ann", "public", 200, "stop"
        trace.queue_s, trace.first_at, trace.tokens = 0.01, 1.2, dict(TOKENS)
        made.append(trace)
    return made


async def measure(folder: Path) -> tuple[list[float], float]:
    """Microseconds a row in each round; rows a second to the disk, over all."""
    tier = Tier(tier="bench", prices=Prices(prompt=0.28, cached=0.028, completion=0.42))
    costs, begun = [], time.perf_counter()
    async with Ledger(folder, tier, Log()) as ledger:
        for round_ in range(ROUNDS):
            some = traces(round_)
            start = time.perf_counter()
            for trace in some:
                ledger.settle(trace, 2.5)
            costs.append((time.perf_counter() - start) / ROWS * 1e6)
            await asyncio.sleep(0.05)
    return costs, ROWS * ROUNDS / (time.perf_counter() - begun)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        costs, pace = asyncio.run(measure(Path(folder)))
    median, worst = statistics.median(costs), max(costs)
    print(
        f"settle: {median:.2f} µs a row (worst round {worst:.2f}); at least {pace:,.0f} rows/s kept"
    )


if __name__ == "__main__":
    main()

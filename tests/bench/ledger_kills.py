"""kill -9 of a gateway in mid-load, and what its ledger then knows: `python -m tests.bench.ledger_kills 20`.

One ledger goes through all kills, each at a moment drawn anew. An answered request is one whose client
has its last byte; it is due in the ledger once that is a second ago.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from seekserve.gateway.ledgerfile import FILE, reading
from tests.support import fake_engine, free_port, without_proxies

CLIENTS: Final = 24
DUE_S: Final = 1.0
MIX: Final = (
    {"content": "hello", "stream": True},
    {"content": "hello", "stream": False},
    {"content": "fault:slow interval=0.02 tokens=20", "stream": True},
    {"content": "fault:status code=500", "stream": False},
)


@dataclass(frozen=True, slots=True)
class Kill:
    """What one kill left: of `answered` requests `due` were old enough; these are in the ledger `rows`."""

    answered: int
    due: int
    rows: int
    missing: int
    doubled: int


@asynccontextmanager
async def served(folder: Path, engine: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway process of its own, ready to answer; killed on the way out if it still runs."""
    port = free_port()
    process = _started(folder, engine, port)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            await _ready(process, client, f"http://127.0.0.1:{port}/health/ready")
        yield process, port
    finally:
        process.kill()
        process.wait()


def _started(folder: Path, engine: str, port: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "seekserve", "serve", "--port", str(port), "--engine", engine]
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(folder)}
    with (folder / "output.txt").open("ab") as sink:
        return subprocess.Popen(words, env=env, stdout=sink, stderr=sink)


async def _ready(process: subprocess.Popen[bytes], client: httpx.AsyncClient, url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the gateway ended by itself"
        with suppress(httpx.TransportError):
            if (await client.get(url)).status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the gateway is not ready")


async def _client(client: httpx.AsyncClient, number: str, ended: dict[str, float]) -> None:
    """Asks until the gateway is gone; notes when each last byte came."""
    with suppress(httpx.TransportError):
        for count in range(1_000_000):
            name = f"{number}-{count}"
            asked = random.choice(MIX)
            body: dict[str, Any] = {"model": "fake", "stream": asked["stream"]}
            body["messages"] = [{"role": "user", "content": asked["content"]}]
            headers = {"x-request-id": name}
            await client.post("/v1/chat/completions", json=body, headers=headers)
            ended[name] = time.monotonic()


async def kill(folder: Path, engine: str, run: int, after_s: float) -> Kill:
    """One life of the gateway, ended after `after_s` of load."""
    ended: dict[str, float] = {}
    async with served(folder, engine) as (process, port):
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            load = [
                asyncio.create_task(_client(client, f"{run}-{number}", ended))
                for number in range(CLIENTS)
            ]
            await asyncio.sleep(after_s)
            killed = time.monotonic()
            os.kill(process.pid, signal.SIGKILL)
            await asyncio.gather(*load)
    rows = written(folder)
    due = [name for name, at in ended.items() if at < killed - DUE_S]
    ours = [count for name, count in rows.items() if name.startswith(f"{run}-")]
    missing = sum(name not in rows for name in due)
    return Kill(len(ended), len(due), len(ours), missing, sum(c > 1 for c in rows.values()))


def written(folder: Path) -> Counter[str]:
    """The rows of each client's id, read as another process reads them."""
    with reading(folder / FILE) as db:
        return Counter(name for (name,) in db.execute("SELECT client_id FROM requests"))


async def kills(folder: Path, engine: str, count: int) -> list[Kill]:
    """That many lives in a row; and a last one, ended as a user ends it, that must change nothing."""
    found = [await kill(folder, engine, n, random.uniform(1.5, 3.5)) for n in range(count)]
    before = written(folder)
    async with served(folder, engine) as (process, _):
        process.terminate()
        await asyncio.to_thread(process.wait)
    assert written(folder) == before, "a restart changed the ledger"
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as place, fake_engine(Path(place)) as engine:
        found = asyncio.run(kills(Path(place), engine.url, count))
    for one in found:
        print(one)
    sums = {k: sum(getattr(f, k) for f in found) for k in ("answered", "due", "rows", "missing")}
    print(json.dumps({"kills": count} | sums | {"doubled": found[-1].doubled}))
    sys.exit(bool(sums["missing"] or found[-1].doubled))


if __name__ == "__main__":
    main()

"""`seekserve serve` for a terminal to look at: a place for one request, and perhaps no engine yet."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import PATIENCE_S, without_proxies

PATIENT = {"share": 0.3, "max_wait_s": 600, "ttft_target_s": 600}
TIER = {
    "tier": "small",
    "limits": {"running": 1, "queued": 8, "wait_s": 600},
    "classes": {"public": PATIENT},
}


def wait(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.03)


@contextmanager
def serving(engine: str, folder: Path) -> Iterator[None]:
    """With `folder` for its state, until its ops.sock answers; it is stopped in order."""
    tier, said = folder / "small.yaml", folder / "said.txt"
    tier.write_text(json.dumps(TIER))
    words = ["serve", "--engine", engine, "--tier", str(tier), "--port", "0", "--drain", "0.1"]
    with said.open("wb") as sink:
        child = [sys.executable, "-m", "seekserve", *words]
        env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(folder)}
        process = subprocess.Popen(child, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        wait(lambda: process.poll() is not None or (folder / "ops.sock").exists(), "ops.sock")
        assert process.poll() is None, said.read_text()
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


def address(folder: Path) -> str:
    """Where clients are served, once there is an engine."""
    said = folder / "said.txt"
    wait(lambda: "seekserve is ready" in said.read_text(), "the banner")
    found = re.search(r"(http://[\d.:]+)/v1", said.read_text())
    assert found
    return found[1]


def seekserve(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    child = [sys.executable, "-m", "seekserve", *words]
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(folder)} | variables
    return subprocess.run(child, env=env, capture_output=True, text=True, timeout=PATIENCE_S * 2)


@contextmanager
def streams(url: str, count: int, said: str) -> Iterator[None]:
    """So many clients that ask this."""
    body = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": said}]}
    program = (
        "import httpx,sys;httpx.post(sys.argv[1],content=sys.argv[2],timeout=600,trust_env=False)"
    )
    told = [sys.executable, "-c", program, f"{url}/v1/chat/completions", json.dumps(body)]
    clients = [subprocess.Popen(told) for _ in range(count)]
    try:
        yield
    finally:
        for client in clients:
            client.kill()
            client.wait()

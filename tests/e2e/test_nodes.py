"""One engine over two nodes, for real: tensor parallel 2 across two network namespaces, and how it breaks.

vLLM itself notices none of these: its head waits for the lost rank for ever, and says that it is healthy.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from seekserve.config import configs_dir
from tests.e2e.namespaces import inside, pair, why_not
from tests.e2e.server import KEY, MODEL, free_port
from tests.e2e.test_lifecycle import alive, children
from tests.e2e.waiting import until

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM installed"),
    pytest.mark.timeout(2400),
]
HEAD, OTHER = "10.213.77.1", "10.213.77.2"
TOKEN = "0f" * 32
START_S = 600.0  # a busy machine; a free one takes half a minute
CHAT = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is 17 + 25?"}],
    "thinking": {"type": "disabled"},
    "temperature": 0,
    "max_tokens": 32,
}


@dataclass
class Cluster:
    """Two namespaces, what runs in them, and a client in the head's."""

    names: tuple[str, str]
    folder: Path
    run: Callable[[Callable[[], Any]], Any]
    port: int
    took: dict[str, float] = field(default_factory=dict)
    begun: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, which: int, *words: str) -> subprocess.Popen[bytes]:
        state = self.folder / "ab"[which]
        state.mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        cores = sorted(os.sched_getaffinity(0))
        env |= {
            "SEEKSERVE_STATE_DIR": str(state),
            "SEEKSERVE_NODE_TOKEN": TOKEN,
            "SEEKSERVE_API_KEY": KEY,
            "TMPDIR": str(state),
            "VLLM_CPU_OMP_THREADS_BIND": str(cores[which % len(cores)]),
        }
        command = ["ip", "netns", "exec", self.names[which], sys.executable, "-m", "seekserve"]
        with (state / "output.txt").open("ab") as sink:
            process = subprocess.Popen(
                [*command, *words], env=env, stdout=sink, stderr=sink, start_new_session=True
            )
        self.begun.append(process)
        return process

    def head(self) -> subprocess.Popen[bytes]:
        cluster = ("--nodes", "2", "--cluster", HEAD, "--drain", "3")
        tier = str(self.folder / "two.yaml")
        return self.start(0, "serve", "--tier", tier, "--port", str(self.port), *cluster)

    def other(self) -> subprocess.Popen[bytes]:
        return self.start(1, "join", HEAD)

    def said(self, which: int) -> str:
        return (self.folder / "ab"[which] / "output.txt").read_text(errors="replace")

    def ask(self, path: str, **body: Any) -> httpx.Response:
        def asked() -> httpx.Response:
            url, headers = f"http://127.0.0.1:{self.port}{path}", {"Authorization": f"Bearer {KEY}"}
            how: dict[str, Any] = {"headers": headers, "timeout": 120, "trust_env": False}
            return httpx.post(url, json=body, **how) if body else httpx.get(url, **how)

        answer: httpx.Response = self.run(asked)
        return answer

    def health(self) -> dict[str, Any]:
        """The engine's entry in /health/ready; {} where nobody answers."""
        try:
            entry: dict[str, Any] = self.ask("/health/ready").json()["engines"][0]
        except httpx.TransportError:
            return {}
        return entry

    def chats(self) -> str:
        answer = self.ask("/v1/chat/completions", **CHAT)
        assert answer.status_code == 200, f"{answer.text}\n{self.said(0)}\n{self.said(1)}"
        content: str = answer.json()["choices"][0]["message"]["content"]
        return content

    def is_ready(self) -> bool:
        for which, process in enumerate(self.begun[-2:]):
            assert process.poll() in (None, -9), self.said(which)
        return self.health().get("state") == "ready"

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.took[name] = round(time.monotonic() - began, 1)

    def serves_again(self, name: str) -> None:
        with self.timed(name):
            until(self.is_ready, f"not ready again\n{self.said(0)}\n{self.said(1)}", START_S)
        assert "42" in self.chats()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """In a folder with a short name: vLLM's sockets lie below it, and theirs may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="sk") as folder, _cluster(Path(folder)) as one:
        yield one


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    tier = yaml.safe_load((configs_dir() / "tiers" / "demo.yaml").read_text())
    tier["engine"]["args"]["tensor-parallel-size"] = 2
    tier["engine"]["env"] = {
        "TORCHDYNAMO_DISABLE": "1"
    }  # a compiler's minute for each rank's first step
    tier["engine"]["start_timeout_s"] = START_S
    (folder / "two.yaml").write_text(yaml.safe_dump(tier))
    with ExitStack() as stack:
        names = stack.enter_context(pair(HEAD, OTHER))
        one = Cluster(names, folder, stack.enter_context(inside(names[0])), free_port())
        stack.callback(ended, one)
        yield one


def ended(one: Cluster) -> None:
    for process in one.begun:
        if process.poll() is None:
            process.terminate()
    for process in one.begun:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_two_nodes_serve_break_and_serve_again(capsys: pytest.CaptureFixture[str]) -> None:
    if why := why_not():
        pytest.skip(why)
    with cluster() as one:
        head = one.head()
        until(
            lambda: "1 of 2 nodes have joined, waiting at 10.213.77.1:29540" in one.said(0), "", 60
        )
        health = one.health()
        assert (health["stage"], health["nodes"]) == ("nodes", {"wanted": 2, "joined": 1})
        other = one.other()
        with one.timed("ready after the second joined"):
            until(one.is_ready, f"not ready\n{one.said(0)}\n{one.said(1)}", START_S)
        with one.timed("first chat"):
            first = one.chats()
        assert first == one.chats() and "42" in first
        away = engines(other)
        assert away and b"GLOO_SOCKET_IFNAME=sk" in Path(f"/proc/{min(away)}/environ").read_bytes()

        other.kill()
        with one.timed("loss of a node reported"):
            until(lambda: one.health().get("state") != "ready", "the loss was not seen", 15)
        refused = one.ask("/v1/chat/completions", **CHAT)
        assert refused.status_code == 503 and 1 <= int(refused.headers["retry-after"]) <= 60
        until(lambda: one.health().get("stage") == "nodes", "it does not wait for nodes", 30)
        assert f"node 1 ({OTHER}) left" in one.said(0)
        other.wait()
        other = one.other()
        with one.timed("its engine gone"):
            until(lambda: not alive(away), f"still there: {alive(away)}", 20)
        one.serves_again("ready after the node came back")

        os.kill(min(engines(other)), signal.SIGKILL)
        with one.timed("loss of an engine reported"):
            until(lambda: one.health().get("state") != "ready", "the loss was not seen", 15)
        one.serves_again("ready after the other node's engine was killed")
        assert f"node 1 ({OTHER}): its engine was killed by SIGKILL" in one.said(0)

        left = engines(head)
        head.kill()
        head.wait()
        until(lambda: "trying on" in one.said(1), "the node does not wait for a head", 30)
        head = one.head()
        one.serves_again("ready after the head was killed and started")
        assert not alive(left)

        family = engines(head) | engines(other)
        head.terminate()
        assert head.wait(60) == 0, one.said(0)
        other.terminate()
        assert other.wait(60) == 0, one.said(1)
        until(lambda: not alive(family), f"still there: {alive(family)}", 20)
        for which in (0, 1):
            assert "Traceback" not in one.said(which)
            assert TOKEN not in one.said(which)
        with capsys.disabled():
            print("\n", one.took)


def engines(process: subprocess.Popen[bytes]) -> set[int]:
    """What runs below it: the leader has the least number."""
    return children(process.pid)

"""A real `seekserve serve` process for tests: started as a user starts it, stopped as a user stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

KEY = "sk-e2e-0123456789abcdef"
OPS_TOKEN = "ops-e2e-0123456789abcdef"
MODEL = "deepseek-demo"
START_S = 180


@dataclass
class Served:
    """A running server. `output` is the file everything it prints goes to."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path
    ops_port: int = 0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return f"{self.root}/v1"

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def client(self, timeout_s: float = 60) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self.root, headers=headers, timeout=timeout_s, trust_env=False)

    def ops(self) -> httpx.Client:
        """The operators' socket, where metrics and versions are."""
        transport = httpx.HTTPTransport(uds=str(self.output.parent / "ops.sock"))
        return httpx.Client(transport=transport, base_url="http://ops", timeout=60)

    def wait_ready(self) -> None:
        """Polls until an engine can answer; fails with the output when the server ends before."""
        deadline = time.monotonic() + START_S
        with self.client(5) as client:
            while time.monotonic() < deadline:
                assert self.process.poll() is None, f"the server ended:\n{self.said()}"
                try:
                    if client.get("/health/ready").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
        raise AssertionError(f"not ready after {START_S} s:\n{self.said()}")

    def running(self) -> float:
        """What the engine itself says it is working on."""
        with self.ops() as ops:
            return series(ops.get("/metrics").text, "vllm:num_requests_running")


def series(page: str, name: str) -> float:
    """The sum of a series over its labels, from a Prometheus page."""
    lines = [line for line in page.splitlines() if line.split("{")[0].split(" ")[0] == name]
    assert lines, f"no series {name}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(*flags: str, key: str = KEY, ops_port: int = 0) -> Iterator[Served]:
    """Starts the console script's module with `flags`; on the way out it is sent Ctrl-C. With an `ops_port`
    it answers scrapes there, to whoever has OPS_TOKEN.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.txt"
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        env |= {"SEEKSERVE_API_KEY": key, "SEEKSERVE_STATE_DIR": folder, "TMPDIR": folder}
        command = [sys.executable, "-m", "seekserve", "serve", "--port", str(port), *flags]
        if ops_port:
            env |= {"SEEKSERVE_OPS_TOKEN": OPS_TOKEN}
            command += ["--ops", f"127.0.0.1:{ops_port}"]
        with output.open("wb") as sink:
            process = subprocess.Popen(
                command, env=env, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            yield Served(process, port, output, ops_port)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> int:
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(10)

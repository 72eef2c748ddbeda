"""A stand-in for vLLM 0.32: a real process with knobs, for what a healthy engine will not do.

    python tests/fake_engine.py --uds PATH | --port N [knobs]

Knobs of the process shape its start and end (`--help` lists them); flags it does not know are
ignored, since a launcher passes vLLM's. What happens to one request is chosen by its text, see
`fake_answers`, or for all from now on by GET /fault/NAME; POST /mood takes knobs that hold for all of
them. /metrics tells how many requests run, /seen lists the heads and bodies that came.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a file, it finds its neighbour

from tests.fake_answers import Answer

KEPT = 50_000
LOG = "(APIServer pid={pid}) INFO 01-01 00:00:00 [x.py:1] {line}"
STAGES = (
    "Initializing a V1 LLM engine (v0.32.0) with config: model='fake'",
    "Starting to load model fake...",
    "Loading safetensors checkpoint shards:  50% Completed | 1/2",
    "Model loading took 0.01 GiB memory and 0.1 seconds",
    "Starting vLLM server on the socket",
)
TRACE = """Traceback (most recent call last):
  File "engine.py", line 7, in load
    raise ValueError("the weights are too heavy")
ValueError: the weights are too heavy"""
HOLDER = (
    "import os,signal,time;signal.signal(signal.SIGTERM,signal.SIG_IGN);"
    "open({path!r},'w').write(str(os.getpid()));time.sleep(600)"
)
METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="fake"}} {running}.0
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="fake"}} {tokens}.0
# HELP process_open_fds Not ours to pass on.
# TYPE process_open_fds gauge
process_open_fds 7
"""
KV = """# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{engine="0",model_name="fake"}} {kv}
"""


class Engine:
    """The server: what runs, what was seen."""

    def __init__(self, knobs: argparse.Namespace) -> None:
        self.knobs = knobs
        self.running = self.tokens = self.connections = 0
        self.embeds: bool = knobs.embeds
        self.fault: str = knobs.fault
        self.flow = asyncio.Event()
        self.flow.set()
        self.seen: list[Any] = []
        self.mood: dict[str, str] = {}

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(size[1]) if size else 0)
                method, path, _ = head.split(" ", 2)
                await self.route(reader, writer, method, path, body, head)
        writer.close()

    async def route(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        body: bytes,
        head: str,
    ) -> None:
        if method == "POST":
            asked = json.loads(body)
            if path == "/mood":
                self.mood = asked
                path, method = "/health", "GET"
        if method == "POST":
            self.seen.append({"path": path, "body": asked, "head": head})
            del self.seen[:-KEPT]
            answer = Answer(self, writer, path, asked)
            answer.knobs |= self.mood
            await self.work(reader, answer.run())
            return
        if path.startswith("/fault/"):
            self.afflict(path.removeprefix("/fault/"))
        pages: dict[str, tuple[str, str]] = {path: ("text/plain", "")} if "/fault/" in path else {}
        pages |= {"/v1/models": ("application/json", self.models())}
        if not self.knobs.bare:
            pages["/health"] = ("text/plain", "")
            page = METRICS.format(running=self.running, tokens=self.tokens)
            if self.knobs.kv is not None:
                page += KV.format(kv=self.knobs.kv)
            pages["/metrics"] = ("text/plain; version=0.0.4", page)
        if path == "/seen":
            state = {"running": self.running, "connections": self.connections, "seen": self.seen}
            pages[path] = ("application/json", json.dumps(state))
        kind, text = pages.get(path, ("text/plain", "no such page"))
        status = "200 OK" if path in pages else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text.encode())
        await writer.drain()

    def afflict(self, fault: str) -> None:
        """From now on every answer has it; "hang" is that nothing more is said, "" that all is well."""
        self.fault = "" if fault == "hang" else fault
        (self.flow.clear if fault == "hang" else self.flow.set)()

    async def work(self, reader: asyncio.StreamReader, answer: Any) -> None:
        """Runs an answer until it is done or its client hangs up, as vLLM does."""
        self.running += 1
        task = asyncio.create_task(answer)
        left = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait([task, left], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.running -= 1
            task.cancel()
            left.cancel()
            for result in await asyncio.gather(task, left, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, ConnectionError):
                    print(f"fake engine: {result!r}", flush=True)

    def models(self) -> str:
        cards: list[dict[str, Any]] = [{"id": name} for name in self.knobs.model]
        if not self.knobs.bare:
            more = {"object": "model", "created": 7, "owned_by": "vllm", "max_model_len": 2048}
            cards = [card | more for card in cards]
        return json.dumps({"object": "list", "data": cards})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uds", default="", help="Unix socket to listen on")
    parser.add_argument("--port", type=int, default=0, help="else this port of 127.0.0.1")
    parser.add_argument("--model", action="append", default=[], help="a model id to list")
    parser.add_argument("--bare", action="store_true", help="model ids only: no /metrics, /health")
    parser.add_argument("--embeds", action="store_true", help="serve /v1/embeddings")
    parser.add_argument("--ready-after", type=float, default=0.0, help="seconds before it listens")
    parser.add_argument("--exit-early", type=int, help="exit with this code instead of listening")
    parser.add_argument("--trace", action="store_true", help="print a traceback before exiting")
    parser.add_argument("--say", default="", help="one more line to print at the start")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument(
        "--holder", default="", help="file for the pid of a grandchild that holds on"
    )
    parser.add_argument("--kv", type=float, help="the share of its KV cache that it says is used")
    parser.add_argument("--fault", default="", help="one that every answer has")
    parser.add_argument("--births", default="", help="file that gets our pid appended")
    knobs, _ = parser.parse_known_args()
    knobs.model = knobs.model or ["fake"]
    return knobs


def tell(line: str) -> None:
    print(LOG.format(pid=os.getpid(), line=line), flush=True)


def begin(knobs: argparse.Namespace) -> None:
    """Everything of a start that comes before listening."""
    if knobs.births:
        with open(knobs.births, "a") as file:
            file.write(f"{os.getpid()}\n")
    if knobs.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if knobs.holder:
        subprocess.Popen([sys.executable, "-c", HOLDER.format(path=knobs.holder)])
        while not os.path.exists(knobs.holder) or not os.path.getsize(knobs.holder):
            time.sleep(0.01)
    for line in STAGES:
        tell(line)
        time.sleep(knobs.ready_after / len(STAGES))
    if knobs.say:
        print(knobs.say, flush=True)
    if knobs.trace:
        print(TRACE, flush=True)
    if knobs.exit_early is not None:
        sys.exit(knobs.exit_early)


async def serve(knobs: argparse.Namespace) -> None:
    engine = Engine(knobs)
    if knobs.uds:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(knobs.uds)  # like vLLM, it does not remove a stale socket
        server = await asyncio.start_unix_server(engine.client, sock=listener)
    else:
        server = await asyncio.start_server(engine.client, "127.0.0.1", knobs.port)
        print(f"port={server.sockets[0].getsockname()[1]}", flush=True)
    if not knobs.ignore_term:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    tell("Application startup complete.")
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    begin(KNOBS := arguments())
    asyncio.run(serve(KNOBS))

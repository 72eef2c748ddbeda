"""The load generator, a process of its own: N kept-alive connections, each a stream at a time.

`python -m tests.bench.load --address HOST:PORT|unix:PATH …` prints one JSON line (Result).
It does little per read (a parser in C, one append), so that it stays far cheaper than what it
measures; whether every chunk came, in order, is checked once a stream is whole.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Final

import uvloop

from .client import Client, connect
from .wire import MODEL

_SERIAL: Final = re.compile(rb"#(\d{3,})")
_USED: Final = re.compile(rb'"completion_tokens": ?(\d+)')
_SYSTEM: Final = "You are a careful assistant that answers in plain words. " * 16


@dataclass(frozen=True, slots=True)
class Work:
    """What to send, how much of it, and when to stop."""

    address: str
    key: str = ""
    model: str = MODEL
    prompt: str = "Tell me about the sea."
    connections: int = 64
    streams_each: int = 0  # 0: start streams until `seconds` are over
    seconds: float = 2.0
    ramp_s: float = 0.0
    tokens: int = 100
    pace_ms: int = 0
    ignore_eos: bool = False
    numbered: bool = True  # the mock numbers its deltas; a real engine only counts them
    nap_ms: float = 0.0
    timeout_s: float = 60.0

    def request(self) -> bytes:
        """The one request every stream sends, headers and body."""
        pace = f" pace={self.pace_ms}ms" if self.pace_ms else ""
        body = {
            "model": self.model,
            "messages": [
                *([{"role": "system", "content": _SYSTEM}] if self.numbered else []),
                {"role": "user", "content": self.prompt + pace},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self.tokens,
            "temperature": 0,
            **({"ignore_eos": True} if self.ignore_eos else {}),
        }
        data = json.dumps(body).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\n"
            f"Accept: text/event-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


@dataclass(slots=True)
class Result:
    """What came of it. `lost` counts chunks of streams that ended, broken ones included."""

    streams: int = 0
    failed: int = 0
    chunks: int = 0
    lost: int = 0
    seconds: float = 0.0
    load_cpu_s: float = 0.0
    error: str = ""
    ttft_ms: list[float] = field(default_factory=list)


class Run:
    """Every connection's streams, and the sums over them."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.result = Result()
        self._request = work.request()
        self._began = 0.0
        self._ended = 0.0

    async def run(self) -> Result:
        """Connect first, so that no stream pays for it; then stream, within the time limit."""
        clients = [await connect(self.work.address) for _ in range(self.work.connections)]
        self._began = self._ended = time.perf_counter()
        lanes = [
            asyncio.create_task(self._lane(client, index)) for index, client in enumerate(clients)
        ]
        if self.work.nap_ms:
            self._nap()
        _, late = await asyncio.wait(lanes, timeout=self.work.timeout_s)
        for lane in late:
            lane.cancel()
            self._fail(f"not finished after {self.work.timeout_s:.0f} s", self.work.tokens)
        for lane in set(lanes) - late:
            lane.result()
        self.result.seconds = round(self._ended - self._began, 4)
        self.result.load_cpu_s = round(time.process_time(), 3)
        return self.result

    def _nap(self) -> None:
        """Sleep between looks at the sockets: one read then takes several chunks.

        Only where throughput is asked for: it leaves the cores to what is measured, and would
        blur a time to first token.
        """
        time.sleep(self.work.nap_ms / 1e3)
        asyncio.get_running_loop().call_soon(self._nap)

    async def _lane(self, client: Client, index: int) -> None:
        await asyncio.sleep(self.work.ramp_s * index / self.work.connections)
        done = 0
        while self._more(done):
            done += 1
            if client.lost:
                client = await connect(self.work.address)
            sent = time.perf_counter()
            body = await client.stream(self._request)
            self._ended = time.perf_counter()
            self._judge(client, body, sent)
            if client.status != 200:
                return  # a refusal would be refused again at once: no storm of them

    def _more(self, done: int) -> bool:
        if self.work.streams_each:
            return done < self.work.streams_each
        return time.perf_counter() - self._began < self.work.seconds

    def _judge(self, client: Client, body: bytes, sent: float) -> None:
        got = self._chunks(body)
        self.result.chunks += got
        missing = self.work.tokens - got
        if client.status != 200:
            self._fail(f"HTTP {client.status} {body[:200]!r}", missing)
        elif missing or b"data: [DONE]" not in body[-64:]:
            self._fail(f"{got} chunks of {self.work.tokens}, tail {body[-80:]!r}", missing)
        else:
            self.result.streams += 1
            self.result.ttft_ms.append(round((client.first_at - sent) * 1e3, 3))

    def _chunks(self, body: bytes) -> int:
        """How many chunks came whole, in order and once."""
        if self.work.numbered:
            serials = [int(serial) for serial in _SERIAL.findall(body)]
            return sum(serial == place for place, serial in enumerate(serials))
        used = _USED.findall(body)
        return int(used[-1]) if used else 0

    def _fail(self, reason: str, missing: int) -> None:
        self.result.failed += 1
        self.result.lost += missing
        self.result.error = self.result.error or reason


def parse(argv: list[str]) -> Work:
    """Every field of Work is an option of the same name."""
    parser = argparse.ArgumentParser(prog="tests.bench.load", description=__doc__)
    defaults = asdict(Work(address=""))
    for name, value in defaults.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=value)
        else:
            parser.add_argument(option, type=type(value), default=value)
    return Work(**vars(parser.parse_args(argv)))


def main() -> None:
    """Run the work asked for and print its result."""
    print(json.dumps(asdict(uvloop.run(Run(parse(sys.argv[1:])).run()))))


if __name__ == "__main__":
    main()

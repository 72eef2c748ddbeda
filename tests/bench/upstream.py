"""A mock vLLM in a process of its own: the wire of wire.py at an engine's rhythm.

`python -m tests.bench.upstream --port N --uds PATH` serves the same engine on both.
A request's `max_tokens` sets the number of chunks; `pace=20ms` anywhere in its messages sets
the time between them. Unpaced, every open stream gets one event per turn of the event loop,
one write each, as a decode step of a real engine gives every sequence one token.
"""

import argparse
import asyncio
import json
import re
from typing import Any, Final, cast

import httptools
import uvloop

from . import wire

_PACE: Final = re.compile(rb"pace=(\d+)ms")
_TICK_S: Final = 0.001
_DEFAULT_TOKENS: Final = 100


class Pacer:
    """When each open stream writes next. One timer for all, so that the mock stays cheap."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free: dict[Stream, None] = {}
        self._due: dict[int, list[Stream]] = {}
        self._stepping = False
        self._ticking = False
        self._reached = 0
        self.tokens = 0
        self.running = 0

    def start(self, stream: "Stream") -> None:
        self.running += 1
        self.tokens += stream.tokens
        if stream.write_step():
            self.resume(stream)

    def resume(self, stream: "Stream") -> None:
        """Give the stream its next turn: the next turn of the loop, or its next beat."""
        if stream.pace_ms == 0:
            self._free[stream] = None
            if not self._stepping:
                self._stepping = True
                self._loop.call_soon(self._step)
            return
        self._book(stream, self._now() + stream.pace_ms)

    def pause(self, stream: "Stream") -> None:
        self._free.pop(stream, None)

    def _now(self) -> int:
        return int(self._loop.time() / _TICK_S)

    def _book(self, stream: "Stream", tick: int) -> None:
        if not self._ticking:
            self._ticking = True
            self._reached = self._now()
            self._loop.call_later(_TICK_S, self._tick)
        self._due.setdefault(max(tick, self._reached + 1), []).append(stream)

    def _step(self) -> None:
        for stream in list(self._free):
            if not stream.write_step():
                self._free.pop(stream, None)
        self._stepping = bool(self._free)
        if self._stepping:
            self._loop.call_soon(self._step)

    def _tick(self) -> None:
        now = self._now()
        for tick in range(self._reached + 1, now + 1):
            self._reached = tick
            for stream in self._due.pop(tick, ()):
                if stream.write_step():
                    self._book(stream, tick + stream.pace_ms)
        self._ticking = bool(self._due)
        if self._ticking:
            self._loop.call_later(_TICK_S, self._tick)


class Stream:
    """One answer on its way out: which step of the script comes next."""

    __slots__ = ("_at", "_pacer", "_steps", "_transport", "open", "pace_ms", "tokens")

    def __init__(
        self, pacer: Pacer, transport: asyncio.Transport, ask: dict[str, Any], pace_ms: int
    ) -> None:
        self.tokens = int(
            ask.get("max_tokens") or ask.get("max_completion_tokens") or _DEFAULT_TOKENS
        )
        self.pace_ms = pace_ms
        self.open = True
        self._at = 0
        self._pacer = pacer
        self._transport = transport
        options = ask.get("stream_options") or {}
        self._steps = wire.steps(self.tokens, bool(options.get("include_usage")))

    def write_step(self) -> bool:
        """Write one step, an event a write; whether another step is to follow."""
        if not self.open:
            return False
        for event in self._steps[self._at]:
            self._transport.write(event)
        self._at += 1
        if self._at == len(self._steps):
            self.close()
        return self.open

    def close(self) -> None:
        if self.open:
            self.open = False
            self._pacer.running -= 1


class EngineProtocol(asyncio.Protocol):
    """One client connection, kept alive; one request on it at a time."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._stream: Stream | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._pacer.pause(self._stream)
            self._stream.close()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def pause_writing(self) -> None:
        # Paced streams are left to their beat: at 50 events a second the buffer is small.
        if self._stream is not None and self._stream.pace_ms == 0:
            self._pacer.pause(self._stream)

    def resume_writing(self) -> None:
        if self._stream is not None and self._stream.open and self._stream.pace_ms == 0:
            self._pacer.resume(self._stream)

    def on_url(self, url: bytes) -> None:
        self._url = url
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        path = self._url.partition(b"?")[0]
        if path == b"/v1/chat/completions":
            self._chat(b"".join(self._body), self._transport)
        else:
            self._transport.write(self._small(path))

    def _chat(self, body: bytes, transport: asyncio.Transport) -> None:
        ask = json.loads(body)
        if not ask.get("stream"):
            transport.write(wire.completion(int(ask.get("max_tokens") or _DEFAULT_TOKENS)))
            return
        pace = _PACE.search(body)
        self._stream = Stream(self._pacer, transport, ask, int(pace.group(1)) if pace else 0)
        self._pacer.start(self._stream)

    def _small(self, path: bytes) -> bytes:
        if path == b"/v1/models":
            return wire.models()
        if path == b"/metrics":
            text = wire.METRICS.format(running=self._pacer.running, tokens=self._pacer.tokens)
            return wire.answer(text.encode(), "text/plain; version=0.0.4")
        if path == b"/version":
            return wire.answer(b'{"version":"0.32.0"}')
        found = path in (b"/health", b"/ping")
        return wire.answer(b"", status="200 OK" if found else "404 Not Found")


async def serve(port: int, uds: str) -> None:
    """Listen on both until killed."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    tcp = await loop.create_server(
        lambda: EngineProtocol(pacer), "127.0.0.1", port, backlog=2048, reuse_address=True
    )
    unix = await loop.create_unix_server(lambda: EngineProtocol(pacer), uds, backlog=2048)
    await asyncio.gather(tcp.serve_forever(), unix.serve_forever())


def main() -> None:
    """Parse where to listen and serve."""
    parser = argparse.ArgumentParser(prog="tests.bench.upstream", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--uds", required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.uds))


if __name__ == "__main__":
    main()

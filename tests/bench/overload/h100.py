"""A process that answers as vLLM 0.32 does, in the time an 8xH100 server would take (`steps`).

`python -m tests.bench.overload.h100 --uds PATH [--max-num-seqs N] [--scheduling-policy priority]
[--max-num-queued-reqs N] [--max-num-queued-tokens N]`. A prompt's tokens are the bytes of its messages
by four; an answer has as many as `max_tokens`. Steps are due by the clock, each from when the one before
it was due: a machine that is busy delays events, and slows nothing down.
"""

import argparse
import asyncio
import itertools
import json
from typing import Any, Final, cast

from tests.bench.wire import LAST_CHUNK, STREAM_HEAD, answer

from .steps import EVENT_TOKENS, Batch, Machine, Made, Sequence

MODEL: Final = "h100"
BYTES_PER_TOKEN: Final = 4
_BUSY: Final = "The engine is currently busy and cannot accept new requests."
_BACKLOG: Final = "The engine has reached its prefill token backlog limit."
_METRICS: Final = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="h100"}} {running}.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="h100"}} {waiting}.0
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{block_size="16",engine="0",num_gpu_blocks="131072"}} 1.0
# TYPE bench:late_steps counter
bench:late_steps {late}.0
# TYPE bench:steps counter
bench:steps {steps}.0
"""
_LATE_S: Final = 0.02


def _event(fields: str) -> bytes:
    body = (
        'data: {"id":"chatcmpl-9f0c6d1b2a7e4c5f","object":"chat.completion.chunk",'
        f'"created":1790000000,"model":"{MODEL}",{fields}}}\n\n'
    ).encode()
    return b"%x\r\n%b\r\n" % (len(body), body)


def _delta(text: str, finish: str = "null") -> bytes:
    return _event(
        f'"choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,'
        f'"finish_reason":{finish},"token_ids":null}}]'
    )


_ROLE: Final = _event(
    '"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,'
    '"finish_reason":null}],"prompt_token_ids":null'
)
_TOLD: Final = [_delta(" word" * tokens) for tokens in range(EVENT_TOKENS + 1)]
_DONE: Final = b"e\r\ndata: [DONE]\n\n\r\n" + LAST_CHUNK


def _end(one: Sequence) -> bytes:
    usage = (
        f'"choices":[],"usage":{{"prompt_tokens":{one.prompt},"completion_tokens":{one.output},'
        f'"total_tokens":{one.prompt + one.output}}}'
    )
    return _delta("", '"length"') + _event(usage) + _DONE


class Engine:
    """The batch, its clock, and what refuses."""

    def __init__(
        self, machine: Machine, most: int | None, unread: int | None, ranked: bool
    ) -> None:
        self.batch = Batch(machine)
        self._most, self._unread, self.ranked = most, unread, ranked
        self._doors: dict[Sequence, Door] = {}
        self._woken = asyncio.Event()
        self.numbers = itertools.count()
        self.late = self.steps = 0

    def refusal(self) -> str:
        """Why one more is not taken; empty when it is. As vLLM's `check_admission`."""
        if self._most is not None and self.batch.unfinished + 1 > self._most:
            return _BUSY
        if self._unread is not None and self.batch.unread >= self._unread:
            return _BACKLOG
        return ""

    def add(self, one: Sequence, door: "Door") -> None:
        self._doors[one] = door
        self.batch.add(one)
        self._woken.set()

    def drop(self, one: Sequence) -> None:
        self._doors.pop(one, None)
        self.batch.drop(one)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self.batch.unfinished:
                self._woken.clear()
                await self._woken.wait()
                due = loop.time()
            due += self.batch.begin()
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.steps += 1
            self.late += loop.time() > due + _LATE_S
            for made in self.batch.end():
                self._tell(made)

    def _tell(self, made: Made) -> None:
        if (door := self._doors.get(made.sequence)) is None:
            return
        if made.last:
            del self._doors[made.sequence]
        door.tell(made)


class Door(asyncio.Protocol):
    """One connection, kept alive, one request on it at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._got = b""
        self._one: Sequence | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._one is not None:
            self._engine.drop(self._one)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, rest = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = _length(head)
        if len(rest) >= length:
            self._got = rest[length:]
            self._asked(head.split(b" ", 2)[1].partition(b"?")[0], rest[:length])

    def tell(self, made: Made) -> None:
        assert self._transport is not None
        told = _TOLD[made.tokens]
        if made.first:
            told = STREAM_HEAD + _ROLE + told
        if made.last:
            told += _end(made.sequence)
            self._one = None
        self._transport.write(told)

    def _asked(self, path: bytes, body: bytes) -> None:
        assert self._transport is not None
        if path != b"/v1/chat/completions":
            self._transport.write(self._small(path))
        elif said := self._engine.refusal():
            error = {"message": said, "type": "Service Unavailable", "param": None, "code": 503}
            told = json.dumps({"error": error}).encode()
            self._transport.write(answer(told, status="503 Service Unavailable"))
        else:
            self._one = _sequence(json.loads(body), self._engine)
            self._engine.add(self._one, self)

    def _small(self, path: bytes) -> bytes:
        batch, engine = self._engine.batch, self._engine
        if path == b"/v1/models":
            card = {"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm", "root": MODEL}
            listed = {"object": "list", "data": [card | {"max_model_len": 65536}]}
            return answer(json.dumps(listed).encode())
        if path == b"/metrics":
            text = _METRICS.format(
                running=batch.running, waiting=batch.waiting, late=engine.late, steps=engine.steps
            )
            return answer(text.encode(), "text/plain; version=0.0.4")
        return answer(b"", status="200 OK" if path == b"/health" else "404 Not Found")


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _sequence(asked: dict[str, Any], engine: Engine) -> Sequence:
    size = sum(len(message["content"].encode()) for message in asked["messages"])
    rank = int(asked.get("priority", 0)) if engine.ranked else 0
    prompt = max(1, size // BYTES_PER_TOKEN)
    return Sequence(prompt, int(asked.get("max_tokens") or 256), next(engine.numbers), rank)


async def serve(options: argparse.Namespace) -> None:
    """Listen until killed."""
    ranked = options.scheduling_policy == "priority"
    machine = Machine(sequences=options.max_num_seqs)
    most, unread = options.max_num_queued_reqs, options.max_num_queued_tokens
    engine = Engine(machine, most, unread, ranked)
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: Door(engine), options.uds, backlog=2048)
    await asyncio.gather(server.serve_forever(), engine.run())


def main() -> None:
    """Parse the flags, named as vLLM's, and serve."""
    parser = argparse.ArgumentParser(prog="tests.bench.overload.h100", description=__doc__)
    parser.add_argument("--uds", required=True)
    parser.add_argument("--max-num-seqs", type=int, default=Machine().sequences)
    parser.add_argument("--max-num-queued-reqs", type=int)
    parser.add_argument("--max-num-queued-tokens", type=int)
    parser.add_argument("--scheduling-policy", choices=("fcfs", "priority"), default="fcfs")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

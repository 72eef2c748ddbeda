"""Every endpoint of a real server in front of the fake engine, asked for some seconds in three ways.

Schemathesis makes requests of our own OpenAPI document, hypothesis any JSON and every spoiled request of
each API, and bytes are sent to the port that are no HTTP at all. The same examples never come twice.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from seekserve.api.anthropic_schemas import CountTokensRequest, MessagesRequest
from seekserve.api.embeddings import EmbeddingsRequest
from seekserve.api.responses import ResponsesRequest
from seekserve.api.schemas import Body, ChatRequest, CompletionRequest
from tests.property.asking import anything, spoiled
from tests.property.rich import RICH
from tests.property.test_openapi import CHECKS, OPERATIONS
from tests.property.wrong import CHAT, COUNT, EMBED, ENDPOINTS, MESSAGES, RESPONSES, TEXT
from tests.support import Gate, config, fake_engine, gateway

PATIENCE_S = 20.0
BATCH = 40
SCHEMAS: dict[str, type[Body]] = {
    CHAT: ChatRequest,
    TEXT: CompletionRequest,
    EMBED: EmbeddingsRequest,
    RESPONSES: ResponsesRequest,
    MESSAGES: MessagesRequest,
    COUNT: CountTokensRequest,
}
HEADS = (
    b"POST /v1/chat/completions HTTP/1.1\r\n",
    b"host: localhost\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\n\r\n",
    b"expect: 100-continue\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"\r\n\r\n",
)
Tally = Counter[str]
Way = Callable[[str, str, Tally], None]


def run(seconds: float, out: Path) -> dict[str, tuple[int, int, int, int]]:
    """Of each way: runs, crashes, hangs, 5xx of our own. What was found is written into `out`."""
    return asyncio.run(_run(seconds, out))


async def _run(seconds: float, out: Path) -> dict[str, tuple[int, int, int, int]]:
    rows = {}
    with TemporaryDirectory() as folder, fake_engine(Path(folder), "--embeds") as engine:
        async with gateway(config(engine.url, limits={"body_mib": 4})) as gate:
            for name, way, places in WAYS:
                tally = await asyncio.to_thread(_for, seconds, gate.port, way, places)
                tally["crash"] += len(_defects(gate))
                (out / f"{name.split(',')[0].replace(' ', '-')}.txt").write_text(
                    "\n".join([*(k for k in tally if ":" in k), *_defects(gate)])
                )
                gate.lines.clear()
                assert (await gate.ask()).status_code == 200
                rows[name] = tally["run"], tally["crash"], tally["hang"], tally["5xx"]
                print(name, rows[name], flush=True)
            await gate.at_rest()
    return rows


def _defects(gate: Gate) -> list[str]:
    return [line for line in gate.lines if '"defect"' in line]


def _for(seconds: float, port: int, way: Way, places: list[str]) -> Tally:
    """Asks every place in turn, a batch each, until the time is over."""
    tally, end = Counter[str](), time.monotonic() + seconds
    for place in cycle(places):
        if time.monotonic() >= end:
            return tally
        try:
            way(place, f"http://127.0.0.1:{port}", tally)
        except Exception as error:  # noqa: BLE001  a finding, whatever it is: told, and on
            tally["crash"] += 1
            tally[f"{place}: {error!r}"[:2000]] += 1
    return tally


def _ways() -> settings:
    return settings(
        max_examples=BATCH,
        derandomize=False,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def _count(tally: Tally, place: str, status: int, asked: object) -> None:
    tally["run"] += 1
    if status >= 500:
        tally["5xx"] += 1
        tally[f"{place}: {status} for {asked!r}"[:2000]] += 1


def by_document(place: str, at: str, tally: Tally) -> None:
    """`place` is an operation and whether its requests are to be good."""
    label, _, mode = place.rpartition(" ")

    @_ways()
    @given(case=OPERATIONS[label].as_strategy(GenerationMode(mode)))
    def ask(case: schemathesis.Case[Any]) -> None:
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "fake"
        if "ready" in label:  # one that is not ready says so with 503
            case.headers = None  # type: ignore[assignment]
        answer = case.call(base_url=at, timeout=PATIENCE_S)
        _count(tally, label, answer.status_code, case.body)
        case.validate_response(answer, checks=CHECKS)

    ask()


def by_dialect(place: str, at: str, tally: Tally) -> None:
    """Requests of an API, spoiled somewhere, or any JSON at all; every answer is JSON or a whole stream."""
    good = {k: v for k, v in RICH[SCHEMAS[place]].items() if k in SCHEMAS[place].model_fields}
    good["model"] = "fake"
    with httpx.Client(base_url=at, trust_env=False, timeout=PATIENCE_S) as client:

        @_ways()
        @given(asked=spoiled(good) | anything | st.just(good))
        def ask(asked: Any) -> None:
            try:
                answer = client.post(place, content=json.dumps(asked).encode())
            except httpx.TimeoutException:
                tally["hang"] += 1
                tally[f"{place}: hang for {asked!r}"[:2000]] += 1
                return
            _count(tally, place, answer.status_code, asked)
            if answer.headers["content-type"].startswith("application/json"):
                answer.json()
            else:
                assert answer.text.endswith("\n\n"), answer.text[-200:]

        ask()


def by_bytes(place: str, at: str, tally: Tally) -> None:
    """No HTTP: whatever is sent, the server answers or ends the connection, and serves on."""
    port = int(at.rpartition(":")[2])

    @_ways()
    @given(parts=st.lists(st.sampled_from(HEADS) | st.binary(max_size=40), max_size=8))
    def send(parts: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line, suppress(OSError):
            for part in parts:
                line.sendall(part)
            line.shutdown(socket.SHUT_WR)
            said = b"".join(_read(line, tally))
            status = said[9:12]
            assert not said or said.startswith(b"HTTP/1.1 "), said[:100]
            _count(tally, place, int(status or 0), parts)

    send()


def _read(line: socket.socket, tally: Tally) -> Iterator[bytes]:
    try:
        while data := line.recv(65536):
            yield data
    except TimeoutError:
        tally["hang"] += 1


WAYS: list[tuple[str, Way, list[str]]] = [
    (
        "schemathesis",
        by_document,
        [f"{o} positive" for o in OPERATIONS]
        + [f"{o} negative" for o in OPERATIONS if o.startswith("POST")],
    ),
    ("hypothesis, six dialects", by_dialect, list(ENDPOINTS)),
    ("bytes to the port", by_bytes, ["port"]),
]

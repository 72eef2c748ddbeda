"""No path, method, Host or target but ours opens, with a key or without, and none reaches the engine.

The engine's own routes are what vLLM 0.32 serves (read in its source; the key it takes guards only
four prefixes of them).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.support import KEY, FakeEngine, Gate, config, gateway, raw

ENGINE_ROUTES = """
    GET /load
    GET /kv_event_sources
    GET /ping
    POST /ping
    POST /invocations
    POST /v1/invocations
    POST /tokenize
    POST /detokenize
    POST /v1/tokenize
    GET /tokenizer_info
    POST /v1/systemone
    POST /start_profile
    POST /stop_profile
    POST /v1/load_lora_adapter
    POST /v1/unload_lora_adapter
    POST /v1/chat/completions/batch
    POST /v1/chat/completions/render
    POST /v1/completions/render
    POST /v1/messages/render
    POST /v1/chat/completions/derender
    POST /cohere/v2/chat
    POST /generative_scoring
    POST /scale_elastic_ep
    POST /is_scaling_elastic_ep
    POST /inference/v1/generate
    POST /inference/v1/abort_requests
    POST /abort_requests
    POST /fault_tolerance/apply
    GET /fault_tolerance/status
    POST /reset_prefix_cache
    POST /reset_mm_cache
    POST /reset_encoder_cache
    POST /collective_rpc
    GET /server_info
    POST /sleep
    POST /wake_up
    GET /is_sleeping
    POST /release_kv_cache_memory
    POST /pause
    POST /resume
    GET /is_paused
    POST /v2/embed
    POST /pooling
    POST /classify
    POST /score
    POST /v1/score
    POST /rerank
    POST /v1/rerank
    POST /v2/rerank
    POST /v1/audio/transcriptions
    POST /v1/audio/translations
    GET /v1/realtime
    GET /ready
    GET /readyz
    GET /health
    GET /redoc
    GET /docs/oauth2-redirect
""".split("\n")
ROUTES = [tuple(line.split()) for line in ENGINE_ROUTES if line.strip()]
TWISTED = (
    "//v1/chat/completions", "/v1//chat/completions", "/v1/./chat/completions", "/v1/chat/completions/",
    "/v1/../v1/chat/completions", "/v1/chat/completions;x", "/v1/chat/completions%00", "/V1/CHAT/COMPLETIONS",
    "/v1\\chat\\completions", "/v1/chat/completions%20", "/.//v1/chat/completions",
    "/health/live/../../tokenize", "/health/live//", "/health/live%2f..%2f..%2ftokenize",
    "/health/live/tokenize", "/health/live;/../../metrics",
    "/anthropic//v1/messages", "/metrics/", "//metrics", "/./metrics", "/v1/metrics",
)  # fmt: skip
TARGETS = (
    "http://localhost/v1/chat/completions", "http://localhost/health/live/../../v1/chat/completions",
    "http://health/live@localhost/v1/chat/completions", "http://localhost/metrics", "https://evil.example/v1/models",
    "*", "localhost:443", "http://localhost", "http://localhost?/health/live", "http:///health/live/v1/models",
    "?/health/live", "#/health/live", "v1/models",
)  # fmt: skip
BODY = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "hi"}]}).encode()
HOSTS = (
    "a/b", "a?b", "a#b", "a@b", "a\\b", "localhost:8000/health/live", "localhost/health/live?",
    "user:pw@localhost", "localhost:80:80", "localhost:port", "[", "[::1", "::1", "a b", "a%2fb",
    "a,b", "\x7f",
)  # fmt: skip


@pytest.fixture
async def closed(engine: FakeEngine) -> AsyncIterator[Gate]:
    async with gateway(config(engine.url, key=KEY)) as gate:
        yield gate


async def status(
    gate: Gate, method: str, target: str, *lines: str, host: str = "localhost", body: bytes = BODY
) -> int:
    """The status of one request, written by hand: no client tidies it up."""
    head = [f"{method} {target} HTTP/1.1", f"host: {host}", "connection: close", *lines]
    head += ["content-type: application/json", f"content-length: {len(body)}"]
    request = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
    reader, writer = await raw(gate.port, request)
    try:
        told = await asyncio.wait_for(reader.readline(), 20)
    finally:
        writer.close()
    return int(told.split()[1]) if told else 0


WITH_KEY = f"authorization: Bearer {KEY}"


async def test_no_route_of_the_engine_opens(closed: Gate, engine: FakeEngine) -> None:
    before = len(engine.state()["seen"])
    for method, path in ROUTES:
        for at in ("", "/v1", "/anthropic"):
            assert await status(closed, method, at + path) == 401, (method, at + path)
        assert await status(closed, method, path, WITH_KEY) in (404, 405), (method, path)
    assert len(engine.state()["seen"]) == before


async def test_no_twisted_path_opens(closed: Gate, engine: FakeEngine) -> None:
    before = len(engine.state()["seen"])
    for path in TWISTED:
        for method in ("POST", "GET"):
            assert await status(closed, method, path) in (400, 401), (method, path)
            assert await status(closed, method, path, WITH_KEY) in (400, 404, 405), (method, path)
    assert len(engine.state()["seen"]) == before


async def test_only_the_methods_of_a_route_open(closed: Gate, engine: FakeEngine) -> None:
    before = len(engine.state()["seen"])
    for method in "GET HEAD PUT PATCH DELETE OPTIONS TRACE PROPFIND".split():
        assert await status(closed, method, "/v1/chat/completions") == 401, method
        assert await status(closed, method, "/v1/chat/completions", WITH_KEY) == 405, method
    for line in ("x-http-method-override: POST", "upgrade: websocket\r\nconnection: upgrade"):
        assert await status(closed, "GET", "/v1/chat/completions", line) == 401, line
    assert len(engine.state()["seen"]) == before


async def test_what_a_path_is_decoded_to_is_what_is_guarded(closed: Gate) -> None:
    """`%2f` is a slash here, for the guard and for the routes alike: the key is asked for either way."""
    for path in ("/v1/chat/completions", "/v1%2fchat%2Fcompletions", "/v1/chat/%63ompletions"):
        assert await status(closed, "POST", path) == 401, path
        assert await status(closed, "POST", path, WITH_KEY) == 200, path


async def test_other_forms_of_a_target_open_nothing(closed: Gate, engine: FakeEngine) -> None:
    before = len(engine.state()["seen"])
    for target in TARGETS:
        for method in ("GET", "POST", "OPTIONS", "CONNECT"):
            told = await status(closed, method, target)
            assert told in (0, 400, 401), (method, target)
    assert len(engine.state()["seen"]) == before
    assert (await closed.client.get("/health/live")).status_code == 200


async def test_a_host_that_is_none_is_refused(closed: Gate, engine: FakeEngine) -> None:
    before = len(engine.state()["seen"])
    for host in HOSTS:
        for path in ("/v1/chat/completions", "/health/live", "/metrics"):
            assert await status(closed, "POST", path, WITH_KEY, host=host) == 400, (path, host)
            assert await status(closed, "POST", path, host=host) == 400, (path, host)
    assert len(engine.state()["seen"]) == before


async def test_a_host_that_is_one_is_let_in(closed: Gate) -> None:
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "gw_1.internal", "", "a.example:"):
        told = await status(closed, "POST", "/v1/chat/completions", WITH_KEY, host=host)
        assert told == 200, host


async def test_two_hosts_are_refused(closed: Gate) -> None:
    assert await status(closed, "GET", "/v1/models", WITH_KEY, "host: b.example") == 400


async def test_no_redirect_is_made_of_the_host(closed: Gate) -> None:
    for path in ("/v1/models/", "/v1/chat/completions/", "/metrics/", "/docs/"):
        assert await status(closed, "GET", path, WITH_KEY, host="evil.example") in (404, 405), path


SMUGGLED = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n"
FRAMES = (
    (b"content-length: 4\r\ntransfer-encoding: chunked", b"0\r\n\r\n" + SMUGGLED),
    (b"content-length: 0\r\ncontent-length: 90", SMUGGLED),
    (b"content-length: +4", b"{}  "),
    (b"content-length: 4, 4", b"{}  "),
    (b"transfer-encoding: chunked\r\ntransfer-encoding: identity", b"0\r\n\r\n"),
    (b"transfer-encoding: xchunked", b"0\r\n\r\n"),
    (b"transfer-encoding : chunked", b"0\r\n\r\n"),
    (b"content-length: 2\r\n folded: yes", b"{}"),
    (b"x: a\nauthorization: Bearer " + KEY.encode(), b""),
    (b"x: a\rauthorization: Bearer " + KEY.encode(), b""),
)


async def test_no_second_request_hides_in_a_body(closed: Gate, engine: FakeEngine) -> None:
    """Two lengths, or a length that is none: a proxy before us and we would disagree where it ends."""
    before = len(engine.state()["seen"])
    for lines, body in FRAMES:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n" + lines + b"\r\n\r\n"
        reader, writer = await raw(closed.port, head + body)
        writer.write_eof()
        told = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        answers = [line.split()[1] for line in told.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
        assert answers in ([b"400"], []), (lines, told)
    assert len(engine.state()["seen"]) == before

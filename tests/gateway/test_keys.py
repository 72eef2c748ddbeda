"""Who is let in: keys compared whole, and an open server kept to this machine's own programs."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from seekserve.config import hash_key
from seekserve.gateway.keys import Guard, Keyring
from seekserve.gateway.trace import Trace
from tests.support import KEY, FakeEngine, config, gateway

Headers = list[tuple[bytes, bytes]]


async def knock(keyring: Keyring, headers: Headers, path: str = "/v1/models") -> int:
    """The status the guard answers with; 200 when it lets the request through."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("a guard reads no body")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "headers": headers,
        "trace": Trace("id", 0.0, "engine-id"),
    }
    await Guard(app, keyring)(scope, receive, send)
    status: int = sent[0]["status"]
    return status


CLOSED = Keyring((hash_key("sk-other"), hash_key(KEY)))
OPEN = Keyring(())


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"authorization", f"Bearer {KEY}".encode(), 200),
        (b"authorization", f"bearer   {KEY} ".encode(), 200),
        (b"x-api-key", KEY.encode(), 200),
        (b"authorization", KEY.encode(), 401),
        (b"authorization", f"Basic {KEY}".encode(), 401),
        (b"authorization", f"Bearer {KEY}x".encode(), 401),
        (b"authorization", f"Bearer {KEY[:-1]}".encode(), 401),
        (b"authorization", b"Bearer ", 401),
        (b"authorization", b"Bearer \xff\xfe", 401),
        (b"x-other", KEY.encode(), 401),
    ],
)
async def test_keys(name: bytes, value: bytes, status: int) -> None:
    assert await knock(CLOSED, [(name, value)]) == status


async def test_a_browser_without_a_key_gets_nowhere_but_health() -> None:
    assert await knock(CLOSED, [], "/health/live") == 200
    assert await knock(CLOSED, [], "/health/ready") == 200
    for path in (
        "/metrics",
        "/docs",
        "/openapi.json",
        "/version",
        "/health/live/",
        "//health/live",
    ):
        assert await knock(CLOSED, [], path) == 401


async def test_every_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def watched(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return real(given, known)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    hashes = tuple(hash_key(name) for name in "abc")
    assert Keyring(hashes).knows("a")
    assert compared == list(hashes), "a hit must not end the comparison early"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"127.0.0.1:8000")], 200),
        ([(b"host", b"localhost")], 200),
        ([(b"host", b"[::1]:8000")], 200),
        ([(b"host", b"seekserve.localhost:8000")], 200),
        ([], 200),
        ([(b"host", b"evil.example")], 403),
        ([(b"host", b"127.0.0.1.evil.example")], 403),
        ([(b"host", b"localhost@evil.example")], 403),
        ([(b"host", b"[")], 403),
        ([(b"host", b"10.0.0.1:8000")], 403),
        ([(b"host", b"localhost"), (b"origin", b"http://localhost:3000")], 200),
        ([(b"host", b"localhost"), (b"origin", b"https://evil.example")], 403),
        ([(b"host", b"localhost"), (b"origin", b"null")], 403),
        ([(b"host", b"localhost"), (b"origin", b"http://[")], 403),
        ([(b"host", b"localhost"), (b"origin", b"\xff\xfe")], 403),
    ],
)
async def test_an_open_server_is_for_this_machine(headers: Headers, status: int) -> None:
    assert await knock(OPEN, headers) == status


async def test_with_a_key_any_host_and_origin_may_ask() -> None:
    key = (b"x-api-key", KEY.encode())
    assert (
        await knock(CLOSED, [key, (b"host", b"a.example"), (b"origin", b"https://b.example")])
        == 200
    )


def test_a_keyring_tells_its_size_and_nothing_else() -> None:
    assert repr(CLOSED) == "<Keyring 2 keys>"
    assert not OPEN


async def test_over_a_socket(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key=KEY)) as gate:
        refused = await gate.ask()
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "invalid_api_key"
        gate.client.headers["authorization"] = f"Bearer {KEY}"
        assert (await gate.ask()).status_code == 200
        assert KEY not in "".join(gate.lines)
        odd = await gate.client.get("/nowhere", headers={"host": "["})
        assert odd.status_code == 404

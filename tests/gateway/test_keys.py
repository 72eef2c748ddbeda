"""Who is let in: keys compared whole, and an open server kept to this machine's own programs."""

from __future__ import annotations

import hmac
import secrets
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from seekserve.config import hash_key
from seekserve.gateway.guard import Guard
from seekserve.gateway.keys import PREFIX, Key, Keyring, Secret, mint, new_id
from seekserve.gateway.record import Trace
from seekserve.settings import Tier
from tests.support import KEY, FakeEngine, config, gateway

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(days=1)
Headers = list[tuple[bytes, bytes]]


async def knock(keyring: Keyring, headers: Headers, path: str = "/v1/models") -> int:
    """The status the guard answers with; 200 when it lets the request through."""
    status: int = (await knocked(keyring, headers, path))[0]["status"]
    return status


async def knocked(
    keyring: Keyring, headers: Headers, path: str = "/v1/models", trace: Trace | None = None
) -> tuple[Any, Any, Any]:
    """The head and body that the guard answers with, and the scope that it lets through."""
    sent: list[Any] = []
    passed: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.update(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("a guard reads no body")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "headers": headers,
        "trace": trace or Trace("id", 0.0, "engine-id"),
    }
    await Guard(app, lambda: keyring, Tier(tier="test"), lambda: NOW)(scope, receive, send)
    return sent[0], sent[-1].get("body", b"").decode(), passed


def minted(name: str = "alice", **more: Any) -> tuple[str, Key]:
    """A key's text, and what is kept of it."""
    id_ = new_id(())
    text, secret = mint(id_)
    told = {"id": id_, "name": name, "secrets": (secret,), "created_at": NOW - DAY}
    return text, Key.model_validate(told | more)


CLOSED = Keyring((hash_key("sk-other"), hash_key(KEY)))
OPEN = Keyring((), door="local")


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
    assert Keyring(hashes).find("a")
    assert compared[:3] == list(hashes), "a hit must not end the comparison early"


@pytest.mark.parametrize("known", [1, 1000])
async def test_a_check_compares_as_much_whatever_is_presented(
    known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [minted(f"n{number}") for number in range(known)]
    ring = Keyring((hash_key(KEY),), [key for _, key in pairs])
    text, _ = pairs[-1]
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def watched(given: bytes, kept: bytes) -> bool:
        compared.append((len(given), len(kept)))
        return real(given, kept)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    wrong = (text[:-1] + "!", text[:-1], PREFIX + "0" * 12 + text[20:], PREFIX, "", KEY + "x")
    assert ring.find(text) and ring.find(KEY) and not any(map(ring.find, wrong))
    assert compared == [(32, 32)] * 2 * (2 + len(wrong))


def test_a_check_of_ten_thousand_is_quick() -> None:
    secret = Secret(sha256="0" * 64)
    text, key = minted()
    many = (key.model_copy(update={"id": f"{n:012x}", "secrets": (secret,)}) for n in range(9_999))
    ring = Keyring((hash_key(KEY),), (*many, key))
    assert len(ring) == 10_001

    def cost_s(presented: str) -> float:
        start = time.perf_counter()
        ring.find(presented)
        return time.perf_counter() - start

    for presented in (text, text[:-1], "sk-nobody"):
        assert statistics.median(cost_s(presented) for _ in range(500)) < 100e-6


def test_a_minted_key_is_recognised_and_long() -> None:
    text, key = minted()
    secret = text.removeprefix(f"{PREFIX}{key.id}-")
    assert text.startswith(f"sk-seek-{key.id}-") and len(key.id) == 12
    assert len(secret) == 43, "256 bits in base64"
    assert text.isascii() and text.isprintable()
    assert key.secrets[0].sha256 == hash_key(text).hex()
    assert text not in repr(key) and secret not in key.model_dump_json()
    assert len({minted()[0] for _ in range(100)}) == 100


async def let(key: Key, text: str) -> tuple[int, str]:
    head, said, _ = await knocked(Keyring((), (key,)), [(b"x-api-key", text.encode())])
    return head["status"], said


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({}, 200, ""),
        ({"expires_at": NOW + DAY}, 200, ""),
        ({"expires_at": NOW}, 401, "expired on 2026-11-22 00:00 UTC"),
        ({"expires_at": NOW - DAY}, 401, "expired on 2026-11-21"),
        ({"revoked_at": NOW - DAY}, 401, "revoked on 2026-11-21"),
        ({"revoked_at": NOW - DAY, "expires_at": NOW - DAY}, 401, "revoked"),
        ({"class_name": "batch"}, 200, ""),
        ({"class_name": "gold"}, 403, "'gold'"),
        ({"class_name": "gold", "revoked_at": NOW}, 401, "revoked"),
    ],
)
async def test_a_key_that_holds_no_longer_is_told_why(
    more: dict[str, Any], status: int, word: str
) -> None:
    text, key = minted(**more)
    told, said = await let(key, text)
    assert told == status and word in said
    wrong, said = await let(key, text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert wrong == 401 and "not known" in said, "who does not have the key learns nothing of it"


async def test_an_older_secret_holds_until_its_grace_ends() -> None:
    old, key = minted()
    new, secret = mint(key.id)
    for until, status in ((NOW + DAY, 200), (NOW, 401)):
        kept = key.secrets[0].model_copy(update={"until": until})
        turned = key.model_copy(update={"secrets": (secret, kept)})
        assert (await let(turned, new))[0] == 200
        assert (await let(turned, old))[0] == status
    assert "replaced by a newer one" in (await let(turned, old))[1]


async def test_whose_request_it_is_goes_on_with_it() -> None:
    text, key = minted(class_name="batch")
    ring = Keyring((hash_key(KEY),), (key,))
    for presented, name, of in ((text, "alice", "batch"), (KEY, "api-key", "public")):
        trace = Trace("id", 0.0, "engine-id")
        _, _, scope = await knocked(ring, [(b"x-api-key", presented.encode())], trace=trace)
        assert (trace.key, trace.key_class, scope["key"].name) == (name, of, name)
    trace = Trace("id", 0.0, "engine-id")
    _, _, scope = await knocked(OPEN, [], trace=trace)
    assert (trace.key, trace.key_class, scope.get("key")) == ("", "public", None)


@pytest.mark.parametrize("door", ["closed", "local", "anyone"])
async def test_only_a_door_that_is_meant_open_is(door: Any) -> None:
    foreign = [(b"host", b"a.example"), (b"origin", b"https://b.example")]
    wanted = {"closed": 401, "local": 403, "anyone": 200}
    assert await knock(Keyring((), door=door), foreign) == wanted[door]
    assert await knock(Keyring(()), []) == 401, "an empty ring lets nobody in"


def test_random_texts_find_nothing() -> None:
    ring = Keyring((hash_key(KEY),), [minted()[1]])
    texts = [secrets.token_urlsafe(number % 90) for number in range(500)]
    assert not any(ring.find(text) or ring.find(PREFIX + text) for text in texts)


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
        ([(b"host", b"localhost@evil.example")], 400),
        ([(b"host", b"[")], 400),
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
        assert odd.status_code == 400
        assert odd.json()["error"]["code"] == "invalid_host"

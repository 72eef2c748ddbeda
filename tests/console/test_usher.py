"""Who may look at the Console and who may change what it shows, at each of its doors."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from seekserve.console.pages import FOLDER
from seekserve.gateway import keyfile
from seekserve.gateway.keys import Key, Scope, mint, new_id
from tests.console.doors import TOKEN, Doors, bearer, doors
from tests.support import KEY, FakeEngine, config, raw

STATE = "/console/api/state"
NEW = "/console/api/keys"


def made(folder: Path, name: str, scope: Scope = "client", ended: bool = False) -> str:
    """A key in the file, and its text."""
    now, id_ = datetime.now(UTC), new_id(())
    text, secret = mint(id_)
    key = Key(
        id=id_, name=name, secrets=(secret,), scope=scope, created_at=now,
        expires_at=now - timedelta(1) if ended else None,
    )  # fmt: skip
    keyfile.edit(folder / keyfile.NAME, lambda known: (*known, key))
    return text


@pytest.fixture
async def local(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Doors]:
    """Nothing needs a key: only this machine is served."""
    async with doors(config(engine.url, state_dir=tmp_path)) as opened:
        yield opened


async def may(client: httpx.AsyncClient, **headers: str) -> tuple[int, bool | None]:
    """The status of a look, and whether the page says that changes are allowed."""
    page = await client.get(
        STATE, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    return page.status_code, page.json().get("may_change")


async def change(client: httpx.AsyncClient, name: str, **headers: str) -> httpx.Response:
    return await client.post(NEW, json={"name": name}, headers=headers)


async def test_where_no_key_is_needed_this_machine_may_look_and_no_more(local: Doors) -> None:
    assert await may(local.api) == (200, False)
    assert await may(local.port) == (200, False)
    assert await may(local.sock) == (200, True)
    assert (await change(local.api, "a")).status_code == 403
    assert (await change(local.port, "a")).status_code == 403
    assert (await local.api.get(STATE)).json()["side"] == "api"
    assert (await local.port.get(STATE)).json()["side"] == "ops"


async def test_the_pass_may_all_at_both_ports(local: Doors) -> None:
    for client, name in ((local.api, "a"), (local.port, "b")):
        assert await may(client, **bearer(local.own)) == (200, True)
        assert await may(client, x_api_key=local.own) == (200, True)
        assert (await change(client, name, **bearer(local.own))).status_code == 201
    assert await may(local.api) == (401, None)  # there are keys now


async def test_what_is_shown_and_wrong_is_no_better_than_nothing(local: Doors) -> None:
    told = await local.api.get(STATE, headers=bearer("wrong" * 8))
    assert told.status_code == 401
    assert told.headers["www-authenticate"] == "Bearer"
    assert "seekserve console" in told.json()["error"]["todo"]


async def test_wrong_keys_are_put_off(engine: FakeEngine, tmp_path: Path) -> None:
    settings = config(engine.url, state_dir=tmp_path, limits={"wrong_keys_per_min": 2}, key=KEY)
    async with doors(settings) as opened:
        seen = [(await may(opened.api, **bearer("no" * 20)))[0] for _ in range(4)]
        assert seen == [401, 401, 429, 429]
        assert await may(opened.api, **bearer(opened.own)) == (200, True)


FOREIGN = (
    {"host": "evil.example"},
    {"host": "evil.example:8000"},
    {"origin": "https://evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)


async def test_pages_from_elsewhere_see_nothing(local: Doors) -> None:
    for client, headers in itertools.product((local.api, local.port), FOREIGN):
        told = await client.get(STATE, headers=headers)
        assert told.status_code == 403
        assert "access-control-allow-origin" not in told.headers
        assert "set-cookie" not in told.headers


async def test_what_a_proxy_passes_on_is_not_of_this_machine(local: Doors) -> None:
    """It has this machine's address, and the Host of what it speaks to."""
    for client in (local.api, local.port):
        for name in ("x-forwarded-for", "forwarded", "x-forwarded-host", "x-real-ip"):
            assert await may(client, **{name: "203.0.113.7"}) == (401, None)
        assert await may(client, x_forwarded_for="203.0.113.7", **bearer(local.own)) == (200, True)


async def test_a_change_comes_from_our_own_page_as_json(local: Doors) -> None:
    own = bearer(local.own)
    form = {"content-type": "text/plain"}
    refused = await local.api.post(NEW, content=b'{"name": "a"}', headers=own | form)
    assert refused.status_code == 400
    crossed = await change(local.api, "a", **own, **{"sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403
    ours = await change(local.api, "a", **own, **{"sec-fetch-site": "same-origin"})
    assert ours.status_code == 201


async def test_a_clients_key_opens_nothing_and_an_operators_all(
    engine: FakeEngine, tmp_path: Path
) -> None:
    client, chief = made(tmp_path, "client"), made(tmp_path, "chief", "operator")
    gone = made(tmp_path, "gone", "operator", ended=True)
    async with doors(config(engine.url, state_dir=tmp_path, key=KEY)) as opened:
        for door in (opened.api, opened.port):
            assert await may(door, **bearer(client)) == (403, None)
            assert await may(door, **bearer(KEY)) == (403, None)
            assert await may(door, **bearer(gone)) == (401, None)
            assert await may(door, **bearer(chief)) == (200, True)
        assert await may(opened.api) == (401, None)
        models = await opened.api.get("/v1/models", headers=bearer(chief))
        assert models.status_code == 200
        told = await opened.api.get(STATE, headers=bearer(client))
        assert "--scope operator" in told.json()["error"]["message"]


async def test_the_ops_token_may_look(engine: FakeEngine, tmp_path: Path) -> None:
    async with doors(config(engine.url, state_dir=tmp_path), TOKEN) as opened:
        assert await may(opened.port) == (401, None)
        assert await may(opened.port, **bearer(TOKEN)) == (200, False)
        assert (await change(opened.port, "a", **bearer(TOKEN))).status_code == 403
        assert await may(opened.api, **bearer(TOKEN)) == (401, None)


async def test_nobody_is_let_in_for_nothing_where_everybody_is_served(
    engine: FakeEngine, tmp_path: Path
) -> None:
    listen = {"host": "0.0.0.0"}
    settings = config(engine.url, state_dir=tmp_path, listen=listen)
    async with doors(settings.model_copy(update={"no_auth": True})) as opened:
        assert (await opened.api.get("/v1/models")).status_code == 200
        assert await may(opened.api) == (401, None)
        assert (await opened.api.get("/console")).status_code == 200


async def test_the_page_is_guarded_and_cached(local: Doors) -> None:
    page = await local.api.get("/console")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-cache"
    assert local.own not in page.text
    seen = {"if-none-match": f'"other", W/{page.headers["etag"]}'}
    again = await local.port.get("/console", headers=seen)
    assert (again.status_code, again.content) == (304, b"")
    data = await local.api.get(STATE)
    assert data.headers["cache-control"] == "no-store"
    assert data.headers["content-security-policy"] == policy
    assert (await local.api.post("/console")).status_code == 405
    for path in (FOLDER / "vendor").iterdir():
        kept = await local.api.get(f"/console/vendor/{path.name}")
        assert kept.content == path.read_bytes(), path.name
    slash = await local.api.get("/console/")
    assert (slash.status_code, slash.headers["location"]) == (308, "/console")


HOSTILE = (
    "/console/../../etc/passwd",
    "/console/../v1/models",
    "/console/%2e%2e/room.py",
    "/console/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/console//api/state",
    "/console/./index.html",
    "/console/api",
    "/console/api/../api/state",
    "/console/vendor/",
    "/console/index.html%00",
    "/console/__init__.py",
    "/console/api/nothing",
    "/console\\index.html",
    "//console/api/state",
)


async def test_no_path_leads_out_of_the_folder(local: Doors) -> None:
    port = local.api.base_url.port
    assert port
    for path in HOSTILE:
        asked = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        reader, writer = await raw(port, asked.encode())
        head = (await reader.read()).split(b"\r\n", 1)[0]
        writer.close()
        assert head.split()[1] in (b"404", b"400"), (path, head)


async def test_a_foreign_host_gets_no_page_twice_over(local: Doors) -> None:
    port = local.api.base_url.port
    assert port
    asked = b"GET /console HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\nconnection: close\r\n\r\n"
    reader, writer = await raw(port, asked)
    assert b" 400 " in (await reader.read()).split(b"\r\n", 1)[0]
    writer.close()


async def test_without_a_console_there_is_no_page_and_a_terminal_still_looks(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with doors(config(engine.url, state_dir=tmp_path, listen={"console": False})) as opened:
        for client in (opened.api, opened.port, opened.sock):
            assert (await client.get("/console")).status_code == 404
        for client in (opened.api, opened.port):
            assert (await client.get(STATE)).status_code == 404
        assert (await opened.sock.get(STATE)).status_code == 200

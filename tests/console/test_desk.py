"""The page's data over real sockets: history that moves, events, keys made and ended, usage as a sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from seekserve.gateway import keyfile
from seekserve.settings import Tenancy
from tests.console.doors import bearer
from tests.support import KEY, FakeEngine, Gate, config, gateway, until
from tests.test_reloading import Files

SECRET = "the prompt that nobody else may read"


@pytest.fixture
async def closed(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Gate]:
    """A gateway that wants a key, and a client that signs in to the Console."""
    async with gateway(config(engine.url, key=KEY, state_dir=tmp_path)) as serving:
        own = (await serving.ops.get("/console")).json()
        assert own["url"] == f"http://127.0.0.1:{serving.port}/console"
        serving.client.headers.update(bearer(own["pass"]))
        yield serving


async def get(gate: Gate, path: str, **asked: str) -> Any:
    page = await gate.client.get(f"/console/api/{path}", params=asked)
    assert page.status_code == 200, page.text
    return page.json()


async def events(gate: Gate, kind: str) -> list[dict[str, Any]]:
    return [one for one in (await get(gate, "events"))["events"] if one["kind"] == kind]


async def test_the_state_says_what_is_served(closed: Gate) -> None:
    state = await get(closed, "state")
    assert (state["tier"], state["door"], state["may_change"]) == ("test", "closed", True)
    assert state["models"][0]["id"] == "fake"
    assert state["engines"][0]["state"] == "ready" and state["engines"][0]["ours"] is False
    assert {one["name"] for one in state["classes"]} == {"enterprise", "public", "batch"}
    assert state["default_class"] == "public" and state["currency"] == "USD"
    top = (await closed.ops.get("/console/api/state")).json()
    assert top["side"] == "ops" and top["may_change"] is True


async def test_there_is_no_other_way_to_say_a_route(closed: Gate) -> None:
    """A redirect to the right one would be made of the client's own Host header."""
    for path in ("/console/api/keys/", "/console/api/state/", "/console/api//keys"):
        answer = await closed.client.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (404, None), path
        assert "default-src" in answer.headers["content-security-policy"]


async def test_plots_move_with_requests(closed: Gate) -> None:
    own = closed.client.headers["authorization"]
    closed.client.headers.update(bearer(KEY))
    assert (await closed.stream("hello")).status_code == 200
    closed.client.headers["authorization"] = own

    async def moved() -> dict[str, Any] | None:
        series: dict[str, Any] = (await get(closed, "history"))["series"]
        seen = any(series.get("requests", ())) and any(series.get("ttft_p50", ()))
        return series if seen else None

    series = await until(moved)
    assert len(series["requests"]) == len(series["waiting:public"])
    assert max(n for n in series["ttft_p99"] if n is not None) > 0


async def test_a_first_token_is_counted_when_it_comes_and_not_at_the_end(closed: Gate) -> None:
    body = closed.chat("fault:slow interval=0.05 tokens=2000", stream=True, max_tokens=2000)
    async with closed.client.stream(
        "POST", "/v1/chat/completions", json=body, headers=bearer(KEY)
    ) as answer:
        assert answer.status_code == 200

        async def seen() -> bool:
            series = (await get(closed, "history"))["series"]
            assert not any(series.get("requests", ()))
            return any(series.get("ttft_p50", ())) and series["running"][-1] == 1

        await until(seen)


async def test_the_console_follows_a_reload(engine: FakeEngine, tmp_path: Path) -> None:
    settings = config(engine.url, state_dir=tmp_path)
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        before = await get(gate, "state")
        files.tier(classes=settings.tier.classes | {"night": Tenancy(share=0.001)})
        assert (await gate.ops.post("/reload")).status_code == 200
        after = await get(gate, "state")
        told = [{one["name"] for one in state["classes"]} for state in (before, after)]
        assert told[1] - told[0] == {"night"}
        (event,) = await events(gate, "reload")
        assert "night" in event["words"]
        series = await until(lambda: _series(gate, "waiting:night"))
        assert series[-1] == 0.0


async def _series(gate: Gate, name: str) -> Any:
    return (await get(gate, "history"))["series"].get(name)


async def test_what_goes_wrong_is_an_event_with_its_id_and_no_prompt(closed: Gate) -> None:
    headers = bearer(KEY) | {"x-request-id": "mine-7"}
    body = closed.chat(SECRET) | {"model": "nothing"}
    for _ in range(3):
        answer = await closed.client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 404
    (event,) = await events(closed, "refused")
    assert (event["request"], event["key"], event["times"]) == ("mine-7", "api-key", 3)
    assert "model_not_found" in event["words"]
    said = (await closed.client.get("/console/api/events")).text
    assert SECRET not in said and KEY not in said and "nothing" not in said
    assert any("ready" in one["words"] for one in await events(closed, "engine"))
    (started,) = await events(closed, "server")
    older = await get(closed, "events", before=str(started["number"]))
    assert started["number"] not in [one["number"] for one in older["events"]]


async def test_a_key_is_made_used_rotated_and_revoked(closed: Gate, tmp_path: Path) -> None:
    made = await closed.client.post(
        "/console/api/keys", json={"name": "ann", "class": "batch", "scope": "operator"}
    )
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    text = made.json()["key"]
    assert (made.json()["scope"], made.json()["class"]) == ("operator", "batch")
    assert (await closed.client.get("/console/api/keys", headers=bearer(text))).status_code == 200
    (listed,) = (await get(closed, "keys"))["keys"]
    assert listed["name"] == "ann" and "key" not in listed and "secrets" not in listed
    asked = {"grace": "0s"}
    turned = await closed.client.post("/console/api/keys/ann/rotate", json=asked)
    assert turned.status_code == 200 and turned.json()["key"] != text
    assert (await closed.client.get("/v1/models", headers=bearer(text))).status_code == 401
    assert [one["key"] for one in await events(closed, "refused")] == ["ann"], "who goes on with it"
    assert keyfile.read(tmp_path / keyfile.NAME).keys[0].scope == "operator"
    terms = {"concurrency": 2, "class": None}
    changed = await closed.client.post("/console/api/keys/ann/change", json=terms)
    assert (changed.json()["concurrency"], changed.json()["class"]) == (2, None)
    ended = await closed.client.post("/console/api/keys/ann/revoke", json={})
    assert ended.json()["state"] == "revoked"
    told = {one["words"] for one in await events(closed, "keys")}
    assert {"add ann", "rotate ann", "change ann", "revoke ann"} <= told


WRONG: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("keys", {"name": "no spaces"}, 422),
    ("keys", {"name": "a", "scope": "king"}, 422),
    ("keys", {"name": "a", "unknown": 1}, 422),
    ("keys/nobody/change", {"concurrency": 1}, 404),
    ("keys/nobody/rotate", {}, 404),
    ("keys/nobody/revoke", {}, 404),
    ("nothing", {}, 404),
    ("state", {}, 405),
)


async def test_what_cannot_be_done_is_told(closed: Gate) -> None:
    for path, body, status in WRONG:
        answer = await closed.client.post(f"/console/api/{path}", json=body)
        assert answer.status_code == status, path
        assert answer.json()["error"]["message"]


async def test_usage_by_key_and_day_and_as_a_sheet(closed: Gate) -> None:
    for _ in range(2):
        answer = await closed.client.post(
            "/v1/chat/completions", json=closed.chat(), headers=bearer(KEY)
        )
        assert answer.status_code == 200

    async def written() -> Any:
        found = await get(closed, "usage", by="key_day", since="1d")
        return found if sum(row["requests"] for row in found["rows"]) == 2 else None

    found = await until(written)
    assert {row["name"] for row in found["rows"]} == {"api-key"}
    assert all(len(row["day"]) == 10 for row in found["rows"])
    assert found["totals"][0]["requests"] == 2 and found["by"] == "key_day"
    by_key = await get(closed, "usage")
    assert by_key["rows"][0]["prompt"] == found["totals"][0]["prompt"] > 0
    page = await closed.client.get("/console/api/usage.csv?by=key_day&since=1d")
    assert page.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert sum(int(row["requests"]) for row in rows) == 2 and rows[0]["key"] == "api-key"
    for asked in ({"by": "prompt"}, {"since": "yesterday"}):
        wrong = await closed.client.get("/console/api/usage", params=asked)
        assert wrong.status_code == 422


async def test_the_console_is_quiet_in_the_log_and_counted(closed: Gate) -> None:
    await get(closed, "state")
    assert not [line for line in closed.lines if '"route": "console"' in line]
    figures = await closed.figures()
    counted = [name for name in figures if "route=console" in name]
    assert counted and all(name.startswith("seekserve_requests_") for name in counted)


async def test_the_plan_says_what_is_attached(closed: Gate) -> None:
    plan = await get(closed, "plan")
    assert plan["engines"][0]["name"] == "engine-0"
    assert "somebody else" in plan["engines"][0]["note"]


async def test_while_the_server_stops_its_page_still_tells_and_changes_nothing(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with gateway(config(engine.url, state_dir=tmp_path)) as gate:
        own = bearer((await gate.ops.get("/console")).json()["pass"])
        gate.server._closing.begin()
        assert (await gate.client.get("/console/api/state")).status_code == 200
        assert (await gate.client.get("/console/api/live")).status_code == 503
        made = await gate.client.post("/console/api/keys", json={"name": "a"}, headers=own)
        assert made.status_code == 503

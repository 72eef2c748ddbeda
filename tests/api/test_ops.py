"""Health, metrics, version and the OpenAPI page: true to what is served."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from seekserve import __version__
from seekserve.engine.address import Address
from seekserve.engine.engine import Attached
from seekserve.engine.fleet import Fleet
from seekserve.log import Log
from tests.support import KEY, FakeEngine, Gate, config, fake_engine, gateway, until

OPERATORS = ("/metrics", "/version", "/server", "/engines", "/reload", "/keys", "/keys/x/revoke")


def refs(page: Any) -> set[str]:
    """Every $ref anywhere in a document."""
    if isinstance(page, dict):
        own = {page["$ref"]} if isinstance(page.get("$ref"), str) else set()
        return own.union(*(refs(value) for value in page.values()))
    return set().union(*(refs(value) for value in page)) if isinstance(page, list) else set()


async def test_live_while_not_ready(tmp_path: Path) -> None:
    lost = Attached("engine-0", Address(path=str(tmp_path / "no")), (), Log("text", lambda _: None))
    async with gateway(config(), Fleet([lost]), ready=False) as gate:
        assert (await gate.client.get("/health/live")).json() == {"status": "live"}
        ready = await gate.client.get("/health/ready")
        assert ready.status_code == 503
        assert 1 <= int(ready.headers["retry-after"]) <= 60
        (engine,) = ready.json()["engines"]
        assert (engine["state"], engine["stage"], engine["models"]) == ("starting", "connect", [])
        assert str(tmp_path) not in ready.text, "where an engine listens is nobody's business"
        refused = await gate.ask()
        assert refused.status_code == 503
        assert "stage: connect" in refused.json()["error"]["message"]


async def test_ready(gate: Gate) -> None:
    ready = await gate.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["engines"][0]["models"] == ["fake"]


async def test_health_is_open_and_the_rest_is_not(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key=KEY)) as gate:
        for path in ("/health/live", "/health/ready"):
            assert (await gate.client.get(path)).status_code == 200
        for path in ("/docs", "/openapi.json", "/v1/models", *OPERATORS):
            assert (await gate.client.get(path)).status_code == 401


@pytest.mark.parametrize("path", OPERATORS)
async def test_a_key_opens_nothing_of_the_operators(engine: FakeEngine, path: str) -> None:
    async with gateway(config(engine.url, key=KEY)) as gate:
        for method in ("GET", "POST"):
            answer = await gate.client.request(method, path, headers={"x-api-key": KEY})
            assert answer.status_code == 404, answer.text


async def test_engine_series_come_along_under_our_name(gate: Gate) -> None:
    answer = await gate.ops.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    figures = await gate.figures()
    assert figures["vllm:num_requests_running{dp_rank=0,engine=engine-0,model_name=fake}"] == 0
    assert "process_open_fds 7" not in answer.text


async def test_two_engines_one_page(engine: FakeEngine, tmp_path: Path) -> None:
    with fake_engine(tmp_path, "--bare") as bare:
        async with gateway(config(engine.url, bare.url, engine.url)) as gate:

            async def both() -> bool:  # the server is ready with the first of them
                return sum(name.startswith("vllm:num") for name in await gate.figures()) == 2

            await until(both, "both engines on the page")


async def test_metrics_are_cheap(gate: Gate) -> None:
    await gate.figures()
    took = []
    for _ in range(10):
        began = time.perf_counter()
        await gate.metrics()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.1, "the promise is 20 ms"


async def test_version(gate: Gate, engine: FakeEngine) -> None:
    told = (await gate.ops.get("/version")).json()
    assert told["version"] == __version__
    assert told["engines"] == [{"name": "engine-0", "address": engine.url}]


async def test_the_openapi_page_is_true(gate: Gate) -> None:
    page = (await gate.client.get("/openapi.json")).json()
    app = gate.server.config.app.app  # type: ignore[union-attr]
    served = {
        (re.sub(r":path}", "}", route.path), method.lower())
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    shown = {(path, method) for path, ops in page["paths"].items() for method in ops}
    assert shown <= served
    hidden = {path for path, _ in served - shown}
    generation = (
        "/chat/completions /completions /models /models/{model} /embeddings /responses".split()
    )
    twice = {f"{at}{path}" for at in ("", "/beta") for path in generation}
    unstored = {f"{at}/responses/{{rest}}" for at in ("", "/v1", "/beta")}
    assert hidden == twice | unstored | {"/beta/user/balance", "/v1/user/balance", "/docs"}
    for path, operations in page["paths"].items():
        for operation in operations.values():
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
            assert operation.get("description") or operation.get("summary")
    for ref in refs(page):
        assert ref.removeprefix("#/components/schemas/") in page["components"]["schemas"], ref
    for path in ("/v1/chat/completions", "/v1/completions"):
        assert (
            "$ref"
            in page["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        )


async def test_the_page_for_people_is_whole_by_itself(gate: Gate) -> None:
    """A policy that forbids all else is only believable on a page that needs nothing else."""
    answer = await gate.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    style = re.findall(r"<style>(.*?)</style>", answer.text)[0].encode()
    assert base64.b64encode(hashlib.sha256(style).digest()).decode() in policy
    assert re.findall(r'(?:href|src|action)="([^"]*)"', answer.text) == ["openapi.json"]
    assert not re.search(r"://|<script|<link|<img|style=|@import|url\(", answer.text)
    for path in (await gate.client.get("/openapi.json")).json()["paths"]:
        assert f"{path}</code>" in answer.text

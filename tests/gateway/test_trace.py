"""A request's id, its one log line, its counts; and what becomes of our own defects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from seekserve.gateway.booked import book
from seekserve.gateway.record import Trace
from seekserve.gateway.trace import Tracing
from seekserve.log import Log
from seekserve.metrics import Metrics
from tests.support import FakeEngine, Gate, config, gateway, samples

SECRET = "the prompt, which is nobody's business"


def requests(gate: Gate) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in gate.lines]
    return [line for line in lines if line["event"] == "request"]


@pytest.mark.parametrize("given", ["abc-123", "A.b:c_9", "x" * 128])
async def test_a_safe_id_is_repeated(gate: Gate, given: str) -> None:
    answer = await gate.client.get("/v1/models", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "ü", 'a"b'])
async def test_any_other_is_replaced(gate: Gate, given: str) -> None:
    headers = {"x-request-id": given.encode("latin-1")}
    answer = await gate.client.get("/v1/models", headers=headers)  # type: ignore[arg-type]
    assert len(answer.headers["x-request-id"]) == 32


async def test_every_answer_has_one_id(gate: Gate) -> None:
    for path in ("/nowhere", "/v1/models", "/health/live"):
        answer = await gate.client.get(path)
        assert len(answer.headers.get_list("x-request-id")) == 1
    streamed = await gate.stream()
    refused = await gate.ask("fault:status code=500")
    assert streamed.headers["x-request-id"] != refused.headers["x-request-id"]


async def test_one_line_and_one_count_per_request(gate: Gate) -> None:
    await gate.stream(SECRET)
    await gate.ask(SECRET)
    await gate.ask("fault:status code=500")
    await gate.client.post("/v1/completions", json={"model": "fake", "prompt": SECRET})
    await gate.client.post("/v1/chat/completions", content=b"{")
    lines = requests(gate)
    assert [(line["route"], line["status"]) for line in lines] == [
        ("chat", 200),
        ("chat", 200),
        ("chat", 502),
        ("completions", 200),
        ("chat", 400),
    ]
    assert lines[0]["engine"] == "engine-0"
    assert (lines[0]["prompt"], lines[0]["completion"], lines[0]["finish"]) == (12, 6, "stop")
    assert lines[0]["first_s"] <= lines[0]["total_s"]
    assert SECRET not in "".join(gate.lines)
    counts = {k: v for k, v in (await gate.figures()).items() if "requests_total" in k}
    assert sum(v for k, v in counts.items() if "route=chat" in k) == 4
    assert (
        counts["seekserve_requests_total{finish=stop,model=fake,route=completions,status=200}"] == 1
    )


async def test_refusals_are_counted_by_reason(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key="sk-1")) as gate:
        await gate.ask()
        gate.client.headers["x-api-key"] = "sk-1"
        await gate.client.post("/v1/chat/completions", content=b"{")
        figures = await gate.figures()
        assert figures["seekserve_rejections_total{class=,reason=invalid_api_key}"] == 1
        assert figures["seekserve_rejections_total{class=public,reason=invalid_json}"] == 1


async def walk(started: bool) -> tuple[list[dict[str, Any]], list[str], dict[str, float]]:
    """A request to an application with a defect, before or after its answer has begun."""
    lines: list[str] = []
    sent: list[dict[str, Any]] = []
    metrics = Metrics(CollectorRegistry())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(SECRET)

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    tracing = Tracing(app, metrics, Log("json", lines.append))
    await tracing({"type": "http", "path": "/", "headers": []}, receive, send)
    assert metrics.in_flight == 0
    return sent, lines, samples(metrics.page().decode())


async def test_a_defect_is_a_bare_500_and_a_line_with_its_place() -> None:
    sent, lines, figures = await walk(started=False)
    assert sent[0]["status"] == 500
    error = json.loads(sent[1]["body"])["error"]
    assert error["code"] == "internal_error"
    assert SECRET not in json.dumps(error)
    defect = next(json.loads(line) for line in lines if '"defect"' in line)
    assert defect["kind"] == "ValueError"
    assert defect["at"].startswith("test_trace.py:")
    assert defect["id"] in error["message"]
    assert SECRET not in "".join(lines)
    assert figures["seekserve_requests_total{finish=,model=,route=other,status=500}"] == 1


async def test_a_defect_after_the_first_byte_is_logged_and_sends_nothing_more() -> None:
    sent, lines, _ = await walk(started=True)
    assert len(sent) == 1
    assert any('"defect"' in line for line in lines)
    assert SECRET not in "".join(lines)


def test_an_engines_own_word_for_an_end_is_no_label() -> None:
    metrics = Metrics(CollectorRegistry())
    for said in ("stop", "because-0", "because-1", ""):
        book(metrics, Trace("id", 0.0, "id", finish=said), 200, 1.0, {})
    page = metrics.page().decode()
    told = {
        line.split('finish="')[1].split('"')[0] for line in page.splitlines() if "finish=" in line
    }
    assert told == {"stop", "other", ""}

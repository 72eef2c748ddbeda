"""Every metric explains itself, the page parses, and clients cannot invent series."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from seekserve.metrics import Metrics
from tests.support import FakeEngine, Gate, config, gateway, samples

PROMISED = (
    "requests_total rejections_total time_to_first_token_seconds_count prompt_tokens_total "
    "time_per_output_token_seconds_count queue_wait_seconds_count request_duration_seconds_count "
    "cached_tokens_total reasoning_tokens_total completion_tokens_total requests_in_flight "
    "queue_depth engine_state engine_restarts_total"
).split()


async def test_every_family_has_help_and_the_page_parses(gate: Gate) -> None:
    await gate.stream()
    page = await gate.metrics()
    families = list(text_string_to_metric_families(page))
    assert all(family.documentation.strip() for family in families)
    assert all(family.type != "unknown" for family in families)
    assert len({family.name for family in families}) == len(families), "a family comes once"


async def test_what_the_issue_promises_is_there(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"running": 1, "queued": 1})) as gate:
        await gate.stream()
        await gate.ask("fault:status code=500")
        names = {name.partition("{")[0] for name in await gate.figures()}
    assert {f"seekserve_{name}" for name in PROMISED} <= names


async def test_counts_of_one_request(gate: Gate) -> None:
    await gate.stream()
    figures = await gate.figures()
    ok = "seekserve_requests_total{finish=stop,model=fake,route=chat,status=200}"
    assert figures[ok] == 1
    for kind, count in {"prompt": 12, "cached": 8, "reasoning": 3, "completion": 6}.items():
        assert figures[f"seekserve_{kind}_tokens_total{{class=public,model=fake}}"] == count
    assert figures["seekserve_time_to_first_token_seconds_count{class=public,model=fake}"] == 1
    assert figures["seekserve_queue_wait_seconds_count{class=public,model=fake}"] == 1


async def test_what_clients_invent_never_becomes_a_label(gate: Gate) -> None:
    odd = "zzinvented"
    await gate.client.get(f"/{odd}", headers={"x-request-id": odd, "user-agent": odd})
    await gate.client.request(odd.upper(), "/v1/models")
    await gate.client.get(f"/v1/models/{odd}")
    await gate.client.post("/v1/chat/completions", json=gate.chat() | {"model": odd})
    await gate.client.post("/v1/chat/completions", json=gate.chat() | {odd: 1, "user": odd})
    await gate.client.post("/v1/completions", content=odd)
    page = await gate.metrics()
    assert odd not in page.lower()
    assert "model_not_found" in page


def test_gauges_are_read_when_somebody_looks() -> None:
    metrics = Metrics(CollectorRegistry())
    now = [1.0]
    metrics.watch(lambda: [("thing", "A thing.", ("x",), [(("y",), now[0])])])
    for now[0] in (2.0, 3.0):
        assert samples(metrics.page().decode())["seekserve_thing{x=y}"] == now[0]

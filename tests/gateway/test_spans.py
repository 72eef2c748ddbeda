"""Trace context and spans through the real gateway: what the engine is told, what a collector gets, and
what a collector that fails costs.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from seekserve.config import Config, spans_wanted
from seekserve.engine.process import Command
from seekserve.gateway.otlp import FLUSH_S, Otlp
from seekserve.log import Log
from tests.collector import Collector, Seen, collector
from tests.gateway.test_context import PARENT, SPAN, TRACE
from tests.gateway.test_failover import Pair, pair  # noqa: F401  a fixture
from tests.support import KEY, FakeEngine, Gate, config, gateway, until

FROM = {"traceparent": PARENT, "tracestate": "congo=t61"}
SECRET = "a prompt that is nobody's business"


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield made


@pytest.fixture
async def traced(engine: FakeEngine, watcher: Collector) -> AsyncIterator[Gate]:
    async with gateway(exporting(config(engine.url))) as gate:
        yield gate


def exporting(settings: Config) -> Config:
    return settings.model_copy(update={"spans": True})


def heads(engine: FakeEngine, words: str) -> list[dict[str, str]]:
    """The headers of every request with these words that an engine saw."""
    found = [one["head"] for one in engine.state()["seen"] if words in str(one["body"])]
    return [dict(re.findall(r"(?m)^([\w-]+): (.*?)\r?$", head)) for head in found]


def lines(gate: Gate, event: str = "request") -> list[dict[str, Any]]:
    told = [json.loads(line) for line in gate.lines]
    return [line for line in told if line["event"] == event]


async def arrived(watcher: Collector, name: str = "POST /v1/chat/completions") -> Seen:
    """The first request's span, once it is there; what is below it came with it, or before."""
    await until(lambda: watcher.named(name), "a span to arrive")
    return watcher.named(name)[0]


# Without export: a client's context goes on as it came, and nothing is made up.


async def test_the_engine_is_told_what_the_client_said(engine: FakeEngine, gate: Gate) -> None:
    for stream in (True, False):
        await gate.client.post(
            "/v1/chat/completions", json=gate.chat(f"told {stream}", stream=stream), headers=FROM
        )
        (head,) = heads(engine, f"told {stream}")
        assert {name: head[name] for name in FROM} == FROM
    await until(lambda: len(lines(gate)) == 2, "both to be told")
    assert [line["trace"] for line in lines(gate)] == [TRACE, TRACE]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages"])
async def test_on_every_route(engine: FakeEngine, gate: Gate, path: str) -> None:
    words = f"route {path}"
    more = {"input": words} if "resp" in path else {"prompt": words}
    if "messages" in path:
        more = {"messages": [{"role": "user", "content": words}], "max_tokens": 9}  # type: ignore[dict-item]
    await gate.client.post(path, json={"model": "fake"} | more, headers=FROM)
    assert heads(engine, words)[0]["traceparent"] == PARENT


async def test_without_one_the_engine_is_told_none(engine: FakeEngine, gate: Gate) -> None:
    await gate.ask("told nothing")
    assert not {"traceparent", "tracestate"} & set(heads(engine, "told nothing")[0])
    assert "trace" not in (await until(lambda: lines(gate), "it to be told"))[0]


async def test_a_wrong_one_is_no_error_and_goes_nowhere(engine: FakeEngine, gate: Gate) -> None:
    wrong = f"00-{TRACE}-{SPAN}-01 status=200 event=forged"
    answer = await gate.client.post(
        "/v1/chat/completions", json=gate.chat("told wrong"), headers=FROM | {"traceparent": wrong}
    )
    assert answer.status_code == 200
    assert not {"traceparent", "tracestate"} & set(heads(engine, "told wrong")[0])
    assert "trace" not in (await until(lambda: lines(gate), "it to be told"))[0]
    assert "forged" not in "".join(gate.lines)


# With export.


async def test_a_stream_is_a_tree_of_spans(
    engine: FakeEngine, watcher: Collector, traced: Gate
) -> None:
    asked = traced.chat(f"tree {SECRET}", stream=True, max_tokens=40)
    await traced.client.post("/v1/chat/completions", json=asked, headers=FROM)
    whole = await arrived(watcher)
    (queue,), (client,), (stream,) = map(watcher.named, ("queue", "engine", "stream"))
    assert {one.trace for one in watcher.spans} == {TRACE}
    assert {one.state for one in watcher.spans} == {"congo=t61"}
    assert [whole.parent, queue.parent, client.parent, stream.parent] == [
        SPAN,
        whole.span,
        whole.span,
        client.span,
    ]
    assert [whole.kind, queue.kind, client.kind] == ["SERVER", "INTERNAL", "CLIENT"]
    (head,) = heads(engine, "tree ")
    assert head["traceparent"] == f"00-{TRACE}-{client.span}-01"
    assert head["tracestate"] == "congo=t61"
    assert whole.start <= queue.start <= queue.end <= client.start <= stream.start
    assert stream.start == client.events["first token"]
    assert stream.start <= stream.end <= whole.end
    assert abs(whole.end - time.time_ns()) < 60e9
    assert not any(one.failed for one in watcher.spans)
    assert stream.facts["seekserve.pieces"] >= 6
    assert client.facts["seekserve.engine"] == "engine-0"


async def test_what_a_request_used_stands_on_its_span(
    engine: FakeEngine, watcher: Collector, traced: Gate
) -> None:
    answer = await traced.ask("tells what it used", max_tokens=40)
    whole = await arrived(watcher)
    (line,) = lines(traced)
    facts = whole.facts
    assert facts["gen_ai.response.id"] == answer.json()["id"]
    assert facts["gen_ai.usage.input_tokens"] == line["prompt"]
    assert facts["gen_ai.usage.output_tokens"] == line["completion"]
    assert facts["gen_ai.response.finish_reasons"] == ["stop"]
    assert facts["gen_ai.request.model"] == "fake"
    assert facts["gen_ai.request.max_tokens"] == 40
    assert facts["gen_ai.operation.name"] == "chat"
    assert facts["http.request.method"] == "POST"
    assert facts["http.route"] == "/v1/chat/completions"
    assert facts["http.response.status_code"] == 200
    assert facts["seekserve.class"] == "public"
    assert facts["seekserve.request_id"] == line["id"] == answer.headers["x-request-id"]
    assert whole.trace == line["trace"] == facts["seekserve.engine_request_id"]
    assert heads(engine, "tells what it used")[0]["x-request-id"] == whole.trace
    assert whole.parent == ""
    assert whole.service["service.name"] == "seekserve"
    named = {v for k, v in vars(gen_ai_attributes).items() if k.startswith("GEN_AI_")}
    used = {name for one in watcher.spans for name in one.facts if name.startswith("gen_ai.")}
    assert used <= named


async def test_spans_hold_no_prompt_no_key_and_no_address(
    engine: FakeEngine, watcher: Collector
) -> None:
    async with gateway(exporting(config(engine.url, key=KEY))) as gate:
        gate.client.headers["x-api-key"] = KEY
        await gate.stream(SECRET)
        await gate.ask(f"fault:too_long {SECRET}")
        await gate.client.post(f"/v1/{SECRET}", json={})
        await gate.client.get(f"/v1/models/{SECRET}")
        await gate.client.request("PROPFIND", "/v1/models")
        gate.client.headers["x-api-key"] = "sk-wrong-0123456789"
        await gate.ask(SECRET)
        await until(lambda: len(watcher.named("POST")) == 2, "those without a route")
        await until(lambda: len(watcher.spans) == 11, "all spans")
    everything = str(watcher.spans)
    for word in (SECRET, KEY, "sk-wrong", "PROPFIND", "127.0.0.1", str(engine.url), "w1"):
        assert word not in everything


async def test_names_by_variables_win(
    engine: FakeEngine, watcher: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    async with gateway(exporting(config(engine.url))) as gate:
        await gate.ask("named")
        assert (await arrived(watcher)).service["service.name"] == "front"
    assert watcher.heads[0]["x-tenant"] == "blue"


async def test_probes_make_no_spans(watcher: Collector, traced: Gate) -> None:
    await traced.client.get("/health/ready")
    await traced.client.get("/v1/models")
    await arrived(watcher, "GET models")
    assert len(watcher.spans) == 1


async def test_a_parent_that_is_not_sampled_is_obeyed(
    engine: FakeEngine, watcher: Collector, traced: Gate
) -> None:
    unsampled = {"traceparent": PARENT[:-1] + "0"}
    body = traced.chat("not sampled")
    await traced.client.post("/v1/chat/completions", json=body, headers=unsampled)
    await traced.ask("sampled")
    assert (await arrived(watcher)).trace != TRACE
    assert TRACE not in str(watcher.spans)
    (head,) = heads(engine, "not sampled")
    assert head["traceparent"][:36] == f"00-{TRACE}-"
    assert head["traceparent"][-2:] == "00"


async def test_the_sampler_is_the_variables(
    engine: FakeEngine, watcher: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    async with gateway(exporting(config(engine.url))) as gate:
        await gate.ask("of our own")
        await gate.client.post("/v1/chat/completions", json=gate.chat("asked for"), headers=FROM)
        assert (await arrived(watcher)).trace == TRACE
    assert {one.trace for one in watcher.spans} == {TRACE}
    assert heads(engine, "of our own")[0]["traceparent"].endswith("-00")


# What went wrong shows.


async def test_a_refusal_in_line_shows(engine: FakeEngine, watcher: Collector) -> None:
    settings = config(engine.url, limits={"running": 1, "queued": 1, "wait_s": 0.2})
    async with gateway(exporting(settings)) as gate:
        running = asyncio.create_task(gate.stream("fault:pause s=3"))
        await until(lambda: engine.running, "the engine to be busy")
        answer = await gate.ask("waits in vain")
        assert answer.status_code == 503
        whole = await arrived(watcher)
        code = answer.json()["error"]["code"]
        (queue,) = [one for one in watcher.named("queue") if one.failed]
        assert (queue.parent, queue.facts["error.type"]) == (whole.span, code)
        assert whole.failed
        assert whole.facts["error.type"] == code
        assert watcher.named("engine") == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await gate.at_rest()


@asynccontextmanager
async def two_engines(pair: Pair) -> AsyncIterator[Gate]:  # noqa: F811
    for engine in pair:
        engine.afflict()
    settings = exporting(config(*(engine.url for engine in pair)))
    async with gateway(settings) as gate:
        await until(lambda: all(one.ready for one in gate.fleet.engines), "both engines")
        yield gate


async def test_one_that_goes_elsewhere_has_two_tries(pair: Pair, watcher: Collector) -> None:  # noqa: F811
    async with two_engines(pair) as gate:
        pair[0].afflict("not_http")
        for number in range(12):
            await gate.ask(f"elsewhere {number}.")
            if len(heads(pair[0], f"elsewhere {number}.")):
                break
        pair[0].afflict()
    words = f"elsewhere {number}."
    client = watcher.named("engine")[-2:]
    assert [one.failed for one in client] == [True, False]
    assert [one.facts["seekserve.try"] for one in client] == ["first", "again"]
    assert client[0].facts["error.type"] == "engine_error"
    sent = [heads(one, words)[0]["traceparent"].split("-")[2] for one in pair]
    assert sent == [one.span for one in client]
    assert len({(one.trace, one.parent) for one in client}) == 1


async def test_a_stream_that_goes_on_has_two_tries(pair: Pair, watcher: Collector) -> None:  # noqa: F811
    async with two_engines(pair) as gate:
        answer = await gate.stream("fault:drop_mid_stream after=5 goes on.")
        assert "w5" in answer.text
    client, streams = watcher.named("engine"), watcher.named("stream")
    assert [one.facts["seekserve.try"] for one in client] == ["first", "continued"]
    assert [one.failed for one in client] == [one.failed for one in streams] == [True, False]
    assert [one.parent for one in streams] == [one.span for one in client]
    assert client[0].end <= client[1].start <= streams[1].start
    told = [
        h for one in pair for s in one.state()["seen"] for h in [s["head"]] if client[1].trace in h
    ]
    assert {re.findall(r"-([0-9a-f]{16})-01", head)[0] for head in told} == {
        one.span for one in client
    }
    (whole,) = watcher.named("POST /v1/chat/completions")
    assert not whole.failed
    assert whole.facts["gen_ai.response.finish_reasons"] == ["stop"]


async def test_a_client_that_leaves_shows(
    engine: FakeEngine, watcher: Collector, traced: Gate
) -> None:
    asked = traced.chat("fault:pause s=5 left.", stream=True)
    async with traced.client.stream("POST", "/v1/chat/completions", json=asked):
        await until(lambda: engine.running, "the engine to work")
    whole = await arrived(watcher)
    assert whole.facts["error.type"] == "client_gone"
    assert whole.facts["http.response.status_code"] == 499
    assert not whole.failed


# A collector that fails costs nobody anything, and is told once.


async def test_a_collector_in_error_is_told_once(watcher: Collector, traced: Gate) -> None:
    watcher.status = 500
    while watcher.posts < 3:
        assert (await traced.ask("lost")).status_code == 200
    (line,) = await until(lambda: lines(traced, "spans_lost"), "the loss to be told")
    assert "500" in line["why"]
    watcher.status = 200
    await traced.ask("found again")
    await arrived(watcher)
    (line,) = await until(lambda: lines(traced, "spans_sent_again"), "the end of it to be told")
    assert line["lost"] >= 3
    assert not re.search("Traceback|opentelemetry", "".join(traced.lines))


async def test_a_collector_that_is_not_there_holds_nothing_up(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    async with gateway(exporting(config(engine.url))) as gate:
        answers = await asyncio.gather(*(gate.stream(f"nobody {n}") for n in range(8)))
        assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
        began = time.monotonic()
    assert time.monotonic() - began < FLUSH_S + 10
    assert [line["why"] for line in lines(gate, "spans_lost")] == ["the collector does not answer"]
    assert "Traceback" not in capfd.readouterr().err


async def test_a_stop_does_not_wait_for_one_that_hangs(
    engine: FakeEngine, watcher: Collector
) -> None:
    async with gateway(exporting(config(engine.url))) as gate:
        watcher.flow.clear()
        assert (await gate.ask("hangs")).status_code == 200
        await until(lambda: watcher.posts, "a batch on its way")
        assert (await gate.ask("while it hangs")).status_code == 200
        began = time.monotonic()
    assert FLUSH_S <= time.monotonic() - began < FLUSH_S + 10


async def test_a_stop_sends_what_waits(
    engine: FakeEngine, watcher: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    async with gateway(exporting(config(engine.url))) as gate:
        await gate.ask("at the end")
        assert watcher.posts == 0
    assert len(watcher.named("engine")) == 1


# On or off.


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_when_spans_are_exported(variables: dict[str, str], wanted: bool) -> None:
    assert spans_wanted(variables) == wanted


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None  # as where the extra is not installed
from seekserve.app import build
from seekserve.engine.fleet import Fleet
from seekserve.log import Log
from tests.support import config
build(config().model_copy(update={"spans": True}), Fleet([]), Log("text", print))
print("goes on")
"""


def test_a_server_without_the_extra_says_so_and_starts() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    told, *rest = ran.stdout.splitlines()
    assert rest == ["goes on"], ran.stderr
    assert 'pip install \\".[otel]\\"' in told


async def test_variables_that_cannot_be_are_told_and_no_reason_to_stop(
    engine: FakeEngine, watcher: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    async with gateway(exporting(config(engine.url))) as gate:
        assert (await gate.ask("all the same")).status_code == 200
        assert len(lines(gate, "spans_off")) == 1


@pytest.mark.parametrize("written", ["x-key: sk-1", "sk-1", "a=b\nsk-1=c"])
def test_a_malformed_header_is_told_without_its_key(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", written)
    told: list[str] = []
    asyncio.run(_made(Log("json", told.append)))
    assert "Header format invalid" in told[0] and "sk-1" not in "".join(told)


async def _made(log: Log) -> None:
    async with Otlp(log):
        pass


def test_the_engine_is_not_sent_to_our_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tier may send it to one: `engine.env`."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://ours:4318/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    own = {"OTEL_SERVICE_NAME": "vllm"}
    found = {k: v for k, v in Command((), own).environ().items() if k.startswith("OTEL_")}
    assert found == own

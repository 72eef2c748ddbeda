"""The relay against every fault of an engine: what the client sees before and after the first byte."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path
from typing import Any

import httpx
import pytest

from seekserve.gateway import keyfile
from tests.gateway.test_keyfile import add
from tests.support import FakeEngine, Gate, config, gateway, post, raw, until

ENVELOPE = {"message", "type", "param", "code"}


def datas(text: str) -> list[str]:
    """The data of each event of a stream; comments left out."""
    return [e.removeprefix("data: ") for e in text.split("\n\n") if e.startswith("data: ")]


def said(text: str, key: str = "content") -> str:
    """What a stream's deltas add up to."""
    chunks = [json.loads(data) for data in datas(text) if data != "[DONE]"]
    return "".join(c["choices"][0]["delta"].get(key, "") for c in chunks if c.get("choices"))


def failure(answer: httpx.Response) -> dict[str, Any]:
    """The error of a whole error answer, its shape checked."""
    told: dict[str, Any] = answer.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == ENVELOPE
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = told["error"]
    return error


def resident_mib() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 2**20


async def test_a_healthy_stream(gate: Gate) -> None:
    answer = await gate.stream()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert said(answer.text) == " w3 w4 w5"
    assert said(answer.text, "reasoning_content") == " w0 w1 w2"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert '"reasoning":' not in answer.text
    assert "null" not in answer.text.replace('_reason":null', "").replace('"logprobs":null', "")


async def test_a_healthy_answer(gate: Gate) -> None:
    told = (await gate.ask()).json()
    message = told["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": " w3 w4 w5",
        "reasoning_content": " w0 w1 w2",
    }
    assert told["usage"]["prompt_cache_hit_tokens"] == 8
    assert told["usage"]["prompt_cache_miss_tokens"] == 4
    assert not {"prompt_logprobs", "kv_transfer_params"} & set(told)


async def test_usage_comes_only_when_it_was_asked_for(gate: Gate) -> None:
    without = await gate.stream()
    assert '"usage"' not in without.text
    asked = await gate.stream(stream_options={"include_usage": True})
    last = json.loads(datas(asked.text)[-2])
    assert last["choices"] == []
    assert last["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}


@pytest.mark.parametrize("fault", ["dribble", "crlf", "spaced", "burst", "then_close"])
async def test_odd_but_right_streams_come_out_alike(gate: Gate, fault: str) -> None:
    answer = await gate.stream(f"fault:{fault}")
    assert said(answer.text) == " w3 w4 w5"
    assert said(answer.text, "reasoning_content") == " w0 w1 w2"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "\r" not in answer.text


async def test_empty_reasoning_is_left_out_and_the_rest_stays_json(gate: Gate) -> None:
    answer = await gate.stream("fault:null_reasoning")
    assert "reasoning" not in answer.text
    assert said(answer.text) == "abc"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("html", 502, "engine_error"),
        ("html_502", 502, "engine_error"),
        ("not_http", 502, "engine_error"),
        ("huge_headers", 502, "engine_error"),
        ("endless_header", 502, "engine_error"),
        ("too_long", 400, "context_length_exceeded"),
        ("status code=429", 503, "queue_full"),
        ("status code=500", 502, "engine_error"),
        ("status code=503", 503, "queue_full"),
        ("status code=401", 502, "engine_error"),
    ],
)
async def test_a_failure_before_the_first_byte_is_an_error_answer(
    gate: Gate, fault: str, status: int, code: str, stream: bool
) -> None:
    answer = await gate.ask(f"fault:{fault}", stream=stream)
    assert answer.status_code == status
    error = failure(answer)
    assert error["code"] == code
    if status == 503:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    await gate.at_rest()


@pytest.mark.parametrize("fault", ["truncated_json", "bad_json", "array", "odd_json"])
async def test_an_answer_that_is_not_what_it_should_be(gate: Gate, fault: str) -> None:
    answer = await gate.ask(f"fault:{fault}")
    assert answer.status_code == 502
    assert failure(answer)["code"] == "engine_error"


async def test_too_long_a_prompt_is_told_with_the_numbers(gate: Gate) -> None:
    error = failure(await gate.ask("fault:too_long"))
    assert "2048" in error["message"]
    assert "4096" in error["message"]
    assert "Shorten" in error["message"]


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_engine_quotes_of_the_input_is_not_repeated(
    gate: Gate, stream: bool
) -> None:
    answer = await gate.ask("fault:invalid", stream=stream)
    assert answer.status_code == 400
    assert "SECRET" not in answer.text
    assert "Value error, no" in failure(answer)["message"]
    assert "SECRET" not in "".join(gate.lines)


@pytest.mark.parametrize(
    ("fault", "tokens"),
    [
        ("half_event", " w0"),
        ("error_event", " w0 w1"),
        ("no_done", " w0 w1 w2 w3 w4 w5"),
        ("close_before_done", " w0 w1 w2 w3 w4 w5"),
    ],
)
async def test_a_failure_mid_stream_is_one_error_event_after_all_that_came(
    gate: Gate, fault: str, tokens: str
) -> None:
    answer = await gate.stream(f"fault:{fault}")
    assert answer.status_code == 200
    *_, last = datas(answer.text)
    assert set(json.loads(last)["error"]) == ENVELOPE
    assert answer.text.count('"error"') == 1
    assert "[DONE]" not in answer.text
    assert said(answer.text, "reasoning_content") + said(answer.text) == tokens
    await gate.at_rest()


async def test_an_engine_that_dies_mid_stream(mortal: FakeEngine) -> None:
    async with gateway(config(mortal.url, limits={"wait_s": 1})) as gate:
        answer = await gate.stream("fault:die_mid_stream")
        assert json.loads(datas(answer.text)[-1])["error"]["code"] == "engine_error"
        assert said(answer.text, "reasoning_content") == " w0 w1"
        refused = await gate.ask()  # until the watch notices, the dead one is still asked
        assert refused.status_code in (502, 503)
        failure(refused)
        await gate.at_rest()


async def test_an_event_that_never_ends_is_cut(gate: Gate) -> None:
    answer = await gate.stream("fault:huge_event mib=5")
    assert "longer than 4 MiB" in json.loads(datas(answer.text)[-1])["error"]["message"]
    assert len(answer.content) < 10_000
    await gate.at_rest()


async def test_odd_events_do_not_become_a_defect(gate: Gate) -> None:
    answer = await gate.stream("fault:odd_events")
    assert answer.status_code == 200
    assert not [line for line in gate.lines if '"defect"' in line]
    assert answer.text.rstrip().endswith(("[DONE]", "}"))


async def test_an_answer_over_the_cap_is_refused(engine: FakeEngine, tmp_path: Path) -> None:
    """It was the client's wish: no engine is blamed for it or asked again, and it is not for nothing."""
    key = add(tmp_path / keyfile.NAME, "alice", tokens_per_min=100_000)
    settings = config(engine.url, limits={"answer_mib": 1}, state_dir=tmp_path)
    async with gateway(settings) as gate:
        gate.client.headers["x-api-key"] = key
        before = len(engine.state()["seen"])
        for _ in range(5):
            answer = await gate.ask("fault:huge_answer mib=2", max_tokens=50)
            assert answer.status_code == 400
            assert "over 1 MiB" in failure(answer)["message"]
        assert len(engine.state()["seen"]) == before + 5
        assert await gate.figure("seekserve_key_tokens") >= 5 * 50
        assert (await gate.ask()).status_code == 200


async def test_a_count_over_the_cap_costs_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    key = add(tmp_path / keyfile.NAME, "alice", tokens_per_min=100_000)
    settings = config(engine.url, limits={"answer_mib": 1}, state_dir=tmp_path)
    async with gateway(settings) as gate:
        gate.client.headers["x-api-key"] = key
        asked = gate.chat("fault:huge_answer mib=2")
        answer = await gate.client.post("/v1/messages/count_tokens", json=asked)
        assert answer.status_code == 400
        assert await gate.figure("seekserve_key_tokens") == 0


async def test_comments_bridge_a_silence_before_the_head_and_in_mid_stream(
    engine: FakeEngine,
) -> None:
    async with gateway(config(engine.url, listen={"keepalive_s": 0.1})) as gate:
        late = await gate.stream("fault:late wait=0.5")
        assert late.text.startswith(": keep-alive\n\n")
        assert said(late.text) == " w3 w4 w5"
        paused = await gate.stream("fault:pause wait=0.5")
        assert ": keep-alive\n\n" in paused.text
        assert not paused.text.startswith(":")
        assert said(paused.text) == " w3 w4 w5"
        whole = await gate.ask("fault:late wait=0.5")
        assert whole.json()["choices"][0]["message"]["content"] == " w3 w4 w5"


async def test_comments_bridge_the_queue(engine: FakeEngine) -> None:
    settings = config(engine.url, listen={"keepalive_s": 0.1}, limits={"running": 1})
    async with gateway(settings) as gate:
        first = asyncio.create_task(gate.stream("fault:pause wait=0.6"))
        await until(lambda: engine.running == 1, "the first to run")
        second = await gate.stream()
        assert second.text.startswith(": keep-alive\n\n")
        assert said(second.text) == " w3 w4 w5"
        await first


async def test_a_refusal_after_a_comment_is_an_event(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, listen={"keepalive_s": 0.1})) as gate:
        answer = await gate.stream("fault:late_refusal wait=0.4")
        assert answer.status_code == 200
        assert json.loads(datas(answer.text)[-1])["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_engine_that_falls_silent_is_given_up(engine: FakeEngine, stream: bool) -> None:
    settings = config(engine.url, listen={"keepalive_s": 0.1, "idle_s": 0.3})
    async with gateway(settings) as gate:
        answer = await gate.ask("fault:hang_before_head", stream=stream)
        assert "engine_silent" in answer.text
        assert answer.status_code == (200 if stream else 502)
        cut = await gate.stream("fault:hang_mid_stream")
        assert json.loads(datas(cut.text)[-1])["error"]["code"] == "engine_silent"
        await until(lambda: engine.running == 0, "the engine to be let go")


async def test_a_reader_that_does_not_read_costs_little_memory(
    engine: FakeEngine, gate: Gate
) -> None:
    body = json.dumps(gate.chat("fault:endless", stream=True)).encode()
    before = resident_mib()
    _, writer = await raw(gate.port, post(body))
    await until(lambda: engine.running == 1, "the stream to run")

    async def stalled() -> bool:
        before = engine.side.get("/metrics").text
        await asyncio.sleep(0.2)
        return before == engine.side.get("/metrics").text

    await until(stalled, "the engine to be held back")
    assert resident_mib() - before < 32
    writer.close()
    await until(lambda: engine.running == 0, "the engine to stop")
    await gate.at_rest()


async def test_a_stop_does_not_wait_for_a_reader_that_does_not_read(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        body = json.dumps(gate.chat("fault:endless", stream=True)).encode()
        _, writer = await raw(gate.port, post(body))
        await until(lambda: engine.running == 1, "the stream to run")
        await until(lambda: gate.figure("seekserve_places_taken"), "the relay to hold a place")
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 10, "drain_s is 1 here"
    assert '"request"' in "".join(gate.lines), "the request must have ended"
    await until(lambda: engine.running == 0, "the engine to stop")
    writer.close()

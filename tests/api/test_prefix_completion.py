"""Answers that the client begins, end to end: what the engine is asked, and every way it can fail."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support import FakeEngine, Gate, config, gateway, post, raw, until

CHAT, MESSAGES = "/beta/chat/completions", "/v1/messages"
OFF = {"thinking": {"type": "disabled"}}


def asked(said: str = "hi", begun: str = "A", last: Any = None, **more: Any) -> dict[str, Any]:
    """A request that both APIs take; `prefix` is not heeded by Anthropic's."""
    turn = {"role": "assistant", "content": begun, "prefix": True} | (last or {})
    messages = [{"role": "user", "content": said}, turn]
    return {"model": "fake", "max_tokens": 9, "messages": messages} | more


async def send(gate: Gate, path: str = CHAT, **given: Any) -> httpx.Response:
    return await gate.client.post(path, json=asked(**given))


def seen(engine: FakeEngine, last: int) -> list[tuple[str, dict[str, Any]]]:
    return [(one["path"], one["body"]) for one in engine.state()["seen"][-last:]]


def spelt(text: str) -> list[int]:
    return [ord(c) for c in text]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_what_the_engine_is_asked(gate: Gate, engine: FakeEngine, path: str) -> None:
    assert (await send(gate, path, temperature=0.5, **OFF)).status_code == 200
    opening, beginning, (at, last) = seen(engine, 3)
    switches = {"thinking": False, "enable_thinking": False}
    conversation = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}
    told = {"chat_template_kwargs": switches, "return_token_strs": True}
    assert opening == ("/tokenize", conversation | told)
    plain = {"model": "fake", "prompt": "A", "add_special_tokens": False}
    assert beginning == ("/tokenize", plain)
    assert at == "/v1/completions"
    assert last == {
        "model": "fake",
        "stream": False,
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 9,
        "prompt": spelt("hi</think>A"),
    }


@pytest.mark.parametrize(
    ("last", "more", "prompt", "message"),
    [
        ({}, OFF, "</think>A", {"content": " w0 w1 w2 w3 w4 w5"}),
        ({}, {}, "<think></think>A", {"content": " w0 w1 w2 w3 w4 w5"}),
        ({"reasoning_content": "R"}, {}, "<think>R</think>A", {"content": " w0 w1 w2 w3 w4 w5"}),
        (
            {"content": "", "reasoning_content": "R"},
            {},
            "<think>R",
            {"content": " w3 w4 w5", "reasoning_content": " w0 w1"},
        ),
        ({"content": "", "reasoning_content": "R"}, OFF, "</think>", {}),
        ({"content": [{"type": "text", "text": "P"}]}, OFF, "</think>P", {}),
    ],
)
async def test_whole_and_streamed(
    gate: Gate, engine: FakeEngine, last: Any, more: Any, prompt: str, message: dict[str, str]
) -> None:
    said = "closes=2" if "reasoning_content" in message else "hi"
    told = (await send(gate, said=said, last=last, **more)).json()
    assert engine.asked["prompt"] == spelt(said + prompt)
    expected = {"role": "assistant", "content": " w0 w1 w2 w3 w4 w5"} | message
    assert told["choices"][0]["message"] == expected
    assert told["usage"]["prompt_cache_hit_tokens"] == 8
    assert told["object"] == "chat.completion"
    stream = (await send(gate, said=said, last=last, stream=True, **more)).text
    assert stream.endswith("data: [DONE]\n\n") and '"usage"' not in stream
    events = [json.loads(e.removeprefix("data: ")) for e in stream.split("\n\n")[:-2]]
    deltas = [event["choices"][0]["delta"] for event in events]
    for key, text in (expected | {"role": "assistant"}).items():
        assert "".join(delta.get(key, "") for delta in deltas) == text
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    shown = await send(gate, stream=True, stream_options={"include_usage": True})
    assert shown.text.count('"usage"') == 1


@pytest.mark.parametrize("then", ["dribble", "crlf", "spaced", "burst", "then_close"])
async def test_however_the_engine_writes(gate: Gate, then: str) -> None:
    """The same events but for how often the opening is repeated: there is none."""
    plain = (await send(gate, stream=True, last={"content": "", "reasoning_content": "R"})).text
    last = {"content": "", "reasoning_content": "R"}
    told = (await send(gate, said=f"then:{then}", stream=True, last=last)).text
    assert told == plain
    assert plain.count('"role":"assistant"') == 1


async def test_a_begun_message_of_anthropics(gate: Gate) -> None:
    told = (await send(gate, MESSAGES, **OFF)).json()
    assert told["content"] == [{"type": "text", "text": " w0 w1 w2 w3 w4 w5"}]
    assert (told["stop_reason"], told["usage"]["output_tokens"]) == ("end_turn", 6)
    stream = (await send(gate, MESSAGES, stream=True, **OFF)).text
    kinds = [line.removeprefix("event: ") for line in stream.split("\n") if "event: " in line]
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert '"output_tokens":6' in stream


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        ("no_route", 404, "/tokenize"),
        ("status_404", 404, "no more of this"),
        ("too_long", 400, "maximum context length"),
        ("status_500", 502, "The engine failed"),
        ("status_503", 503, "full"),
        ("bad_json", 502, "JSON"),
        ("array", 502, "shape"),
        ("html", 502, "JSON"),
        ("odd_json", 502, "shape"),
    ],
)
async def test_when_tokenize_fails(
    gate: Gate, fault: str, status: int, word: str, stream: bool, path: str, begun: bool
) -> None:
    """In the first step or the second: an error answer in the client's shape, and no place is kept."""
    name, _, code = fault.partition("_") if fault.startswith("status") else (fault, "", "")
    text = f"fault:{name} code={code}"
    told = await send(gate, path, stream=stream, **({"begun": text} if begun else {"said": text}))
    assert told.status_code == status
    assert word in told.json()["error"]["message"]
    assert (told.json().get("type") == "error") is (path == MESSAGES)
    await gate.at_rest()


@pytest.mark.parametrize(
    ("then", "status"), [("too_long", 400), ("status code=500", 502), ("bad_json", 502)]
)
async def test_when_the_completion_fails(gate: Gate, then: str, status: int) -> None:
    told = await send(gate, said=f"then:{then}")
    assert told.status_code == status
    await gate.at_rest()


@pytest.mark.parametrize("then", ["error_event", "half_event", "no_done", "close_before_done"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_when_its_stream_breaks(gate: Gate, then: str, path: str) -> None:
    told = await send(gate, path, said=f"then:{then}", stream=True, **OFF)
    assert told.status_code == 200
    last = told.text.rstrip("\n").split("\n\n")[-1]
    assert '"error"' in last
    await gate.at_rest()


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_between_the_steps(
    gate: Gate, engine: FakeEngine, step: int, stream: bool
) -> None:
    hang = "fault:hang_before_head"
    given = {1: {"said": hang}, 2: {"begun": hang}, 3: {"said": "then:hang_before_head"}}[step]
    before = len(engine.state()["seen"])
    body = json.dumps(asked(stream=stream, **given)).encode()
    _, writer = await raw(gate.port, post(body, CHAT))
    await until(lambda: len(engine.state()["seen"]) == before + step)
    assert engine.running == 1
    writer.close()
    await gate.at_rest()
    await until(lambda: engine.running == 0)
    assert len(engine.state()["seen"]) == before + step
    assert json.loads(gate.lines[-1])["status"] == 499


@pytest.mark.parametrize("stream", [False, True])
async def test_silences_between_the_steps_are_bridged(engine: FakeEngine, stream: bool) -> None:
    listen = {"keepalive_s": 0.05, "bridge_after_s": 0.1}
    async with gateway(config(engine.url, listen=listen)) as gate:
        told = await send(gate, said="then:late wait=0.4", stream=stream)
        assert told.status_code == 200
        sign = b": keep-alive\n\n" if stream else b"\n"
        assert told.content.startswith(sign * 2)
        assert b"w5" in told.content


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": [{"role": "assistant", "content": "A", "prefix": True}]}, "messages"),
    ],
)
async def test_what_cannot_be_begun(gate: Gate, given: dict[str, Any], param: str) -> None:
    told = await send(gate, **given)
    assert (told.status_code, told.json()["error"]["param"]) == (400, param)


async def test_a_prefix_that_is_not_last(gate: Gate) -> None:
    given = asked()
    given["messages"].append({"role": "user", "content": "and?"})
    told = await gate.client.post(CHAT, json=given)
    assert told.json()["error"]["param"] == "messages.1.prefix"

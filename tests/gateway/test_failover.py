"""Two engines, one of which fails: whoever had not begun goes to the other, and streams go on there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from seekserve.engine.assembly import assemble
from seekserve.engine.fleet import Fleet
from seekserve.engine.launched import Launched, Order
from seekserve.engine.process import Command
from seekserve.engine.watch import Pace
from seekserve.log import Log
from seekserve.settings import EngineSettings
from tests.fake_tokens import ids_of
from tests.gateway.test_relay import datas, failure
from tests.property.test_onward import meant
from tests.support import FAKE, FakeEngine, Gate, config, fake_engine, gateway, until

QUICK = Pace(look_s=0.05, proof_s=0.5, least_s=0.3)
Pair = tuple[FakeEngine, FakeEngine]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two engines that all tests here share; each is well at a test's beginning."""
    folders = tmp_path_factory.mktemp("left"), tmp_path_factory.mktemp("right")
    with fake_engine(folders[0]) as left, fake_engine(folders[1]) as right:
        yield left, right


@asynccontextmanager
async def before(*engines: FakeEngine, **settings: Any) -> AsyncIterator[Gate]:
    """A gateway in front of engines that are all ready; afterwards nothing may be left at any."""
    for engine in engines:
        engine.afflict()
    told: list[str] = []
    asked = config(*(engine.url for engine in engines), **settings)
    fleet = assemble(asked, Log("json", told.append))
    for one in fleet.engines:
        one.pace = QUICK
    async with gateway(asked, fleet) as gate:
        gate.lines = told
        await until(lambda: all(one.ready for one in gate.fleet.engines), "both engines")
        yield gate
        await gate.at_rest()
    for engine in engines:
        engine.afflict()
    await until(lambda: not any(engine.running for engine in engines), "the engines to be left")


@pytest.fixture
async def two(pair: Pair) -> AsyncIterator[Gate]:
    async with before(*pair) as gate:
        yield gate


def tries(pair: Pair, words: str) -> list[dict[str, Any]]:
    """All that reached either engine with these words in it, calls that count or spell left out."""
    seen = [one for engine in pair for one in engine.state()["seen"]]
    spoken = [one for one in seen if "tokenize" not in one["path"]]
    ids = json.dumps(ids_of(words))[1:-1]
    return [one for one in spoken if words in str(one["body"]) or ids in str(one["body"])]


IDS = re.compile(r'"(?:id|item_id|created|created_at|completed_at)":("[^"]*"|[\d.]+),?')


def told(text: str) -> str:
    """A stream without what differs from one to the next: names and times."""
    return IDS.sub("", text)


def merged(text: str) -> list[Any]:
    """A stream's events, deltas of one kind that follow each other made one; numbers left out."""
    out: list[Any] = []
    for data in datas(re.sub(r"^event: .*\n", "", told(text), flags=re.MULTILINE)):
        event = json.loads(data) if data != "[DONE]" else data
        place = where(event)
        if place and out and (last := where(out[-1])) and last[0] == place[0]:
            holder, name = last[1]
            holder[name] += place[1][0][place[1][1]]
        else:
            out.append(event)
    for event in out:
        if isinstance(event, dict):
            event.pop("sequence_number", None)
            if event.get("type") == "message_delta":  # what was cached is known to its engine alone
                event["usage"] = event["usage"]["output_tokens"]
    return out


def meaning(text: str) -> list[Any]:
    """What a client of OpenAI's makes of a stream, and the keys that it was shown."""
    events = [json.loads(data) for data in datas(text) if data != "[DONE]"]
    keys = {key for event in events for key in event}
    keys |= {key for event in events for choice in event["choices"] for key in choice}
    return [*meant(text.encode()).items(), sorted(keys)]


def where(event: Any) -> Any:
    """A delta's kind and its text's place; None for all else."""
    if not isinstance(event, dict):
        return None
    kind, delta = str(event.get("type")), event.get("delta")
    if kind.startswith("response.") and isinstance(delta, str):
        return kind, (event, "delta")
    if kind == "content_block_delta" and isinstance(delta, dict):
        for name in ("thinking", "text"):
            if name in delta:
                return name, (delta, name)
    return None


# Requests of which nothing was passed on.


@pytest.mark.parametrize(
    "fault", ["html", "html_502", "not_http", "truncated_json", "exit_at_once"]
)
async def test_one_that_had_not_begun_goes_to_the_other(pair: Pair, two: Gate, fault: str) -> None:
    pair[0].afflict(fault)
    for number in range(6):
        words = f"unsent {fault} {number}."
        answer = await two.ask(words, stream=bool(number % 2))
        assert answer.status_code == 200, answer.text
        assert "w5" in answer.text
        assert 1 <= len(tries(pair, words)) <= 2


async def test_one_that_died_before_its_first_token(pair: Pair, two: Gate) -> None:
    """Its stream was opened, and said no more than a role: another begins it anew."""
    pair[0].afflict("drop_at_once")
    answers = await asyncio.gather(*(two.stream(f"opened {n}.") for n in range(6)))
    assert all(answer.text.count('"role"') == 1 for answer in answers)
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)


async def test_poison_is_not_passed_on_for_ever(pair: Pair, two: Gate) -> None:
    for stream in (True, False):
        words = f"fault:not_http poison {stream}."
        answer = await two.ask(words, stream=stream)
        assert answer.status_code == 502
        assert failure(answer)["code"] == "engine_error"
        assert len(tries(pair, words)) == 2


async def test_a_refusal_is_not_asked_for_twice(pair: Pair, two: Gate) -> None:
    answer = await two.ask("fault:too_long refused.")
    assert answer.status_code == 400
    assert len(tries(pair, "fault:too_long refused.")) == 1


# Streams that go on.

CHAT = {"model": "fake", "stream": True, "stream_options": {"include_usage": True}}


def user(words: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": words}]


ASKED: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", lambda w: CHAT | {"messages": user(w)}),
    "chat with logprobs": (
        "/v1/chat/completions",
        lambda w: CHAT | {"messages": user(w), "logprobs": True, "top_logprobs": 2},
    ),
    "chat with a stop": (
        "/v1/chat/completions",
        lambda w: CHAT | {"messages": user(w), "stop": ["w4"]},
    ),
    "chat of few tokens": (
        "/v1/chat/completions",
        lambda w: CHAT | {"messages": user(w), "max_tokens": 14},
    ),
    "completions": ("/v1/completions", lambda w: CHAT | {"prompt": w}),
    "completions with logprobs": ("/v1/completions", lambda w: CHAT | {"prompt": w, "logprobs": 2}),
    "responses": ("/v1/responses", lambda w: {"model": "fake", "input": w, "stream": True}),
    "messages": (
        "/v1/messages",
        lambda w: {"model": "fake", "max_tokens": 64, "messages": user(w), "stream": True},
    ),
    "messages with a stop": (
        "/v1/messages",
        lambda w: (
            {"model": "fake", "max_tokens": 64, "messages": user(w), "stream": True}
            | {"stop_sequences": ["zzz", "w4"]}
        ),
    ),
}


CUTS = ("after=2", "after=3 bytes=40", "after=5", "after=7", "after=8")


@pytest.mark.parametrize("kind", ASKED)
async def test_a_stream_goes_on(two: Gate, kind: str) -> None:
    for cut in CUTS:
        await goes_on(two, kind, cut)
    assert await continued(two) == len(CUTS), "each was cut"


async def continued(two: Gate) -> float:
    """How many streams went on elsewhere so far."""
    figures = await two.figures()
    return figures.get("seekserve_failovers_total{how=continued,model=fake}", 0)


async def goes_on(two: Gate, kind: str, cut: str) -> None:
    path, asked = ASKED[kind]
    whole = await two.client.post(path, json=asked(f"never:drop_mid_stream {cut} {kind}."))
    broken = await two.client.post(path, json=asked(f"fault:drop_mid_stream {cut} {kind}."))
    assert whole.status_code == broken.status_code == 200
    assert "token_ids" not in whole.text + broken.text
    read = meaning if path.endswith("completions") else merged
    assert read(broken.text) == read(whole.text)


CONTINUED: dict[str, tuple[str, Any]] = {
    "prefix": (
        "/beta/chat/completions",
        lambda w: (
            CHAT | {"messages": [*user(w), {"role": "assistant", "content": "So", "prefix": True}]}
        ),
    ),
    "fill in the middle": ("/beta/completions", lambda w: CHAT | {"prompt": w, "suffix": "end."}),
}


@pytest.mark.parametrize("kind", CONTINUED)
async def test_what_was_to_be_continued_goes_on(pair: Pair, two: Gate, kind: str) -> None:
    path, asked = CONTINUED[kind]
    for count, cut in enumerate(("after=2", "after=3 bytes=40", "after=5")):
        await until(lambda: all(one.ready for one in two.fleet.engines), "both engines")
        words = f"whom:drop_mid_stream {cut} {kind}. "
        whole = await two.client.post(path, json=asked(words))
        pair[0].afflict("drop_mid_stream")
        for _ in range(20):  # until it comes to that one first
            broken = await two.client.post(path, json=asked(words))
            assert meaning(broken.text) == meaning(whole.text)
            if await continued(two) > count:
                break
        assert await continued(two) == count + 1
        pair[0].afflict()


async def test_counts_that_were_told_are_not_told_again(two: Gate) -> None:
    """Lost between the usage and the end: only the end is left to tell."""
    more = {"stream_options": {"include_usage": True}}
    text = (await two.stream("fault:close_before_done counted.", **more)).text
    assert text.count('"usage":{') == 1 and text.endswith("data: [DONE]\n\n")


async def test_no_id_reaches_a_client_that_asked_for_none(pair: Pair, two: Gate) -> None:
    for words in ("shown.", "fault:drop_mid_stream after=4 shown."):
        assert "token_ids" not in (await two.stream(words)).text
    shown = tries(pair, "shown.")
    assert len(shown) == 3 and all(one["body"]["return_token_ids"] for one in shown)


async def test_one_engine_alone_is_asked_for_none(pair: Pair) -> None:
    async with before(pair[0]) as gate:
        await gate.stream("alone.")
    (one,) = tries(pair, "alone.")
    assert "return_token_ids" not in one["body"]


# What cannot go on.

TOOL = {"type": "function", "function": {"name": "f0", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("words", "more", "why"),
    [
        ("drop_mid_stream", {"response_format": {"type": "json_object"}}, "held to a form"),
        ("drop_mid_stream", {"n": 2}, "closed the connection"),
        ("drop_tools", {"tools": [TOOL]}, "a tool call was under way"),
    ],
)
async def test_what_cannot_go_on_ends_with_the_reason(
    pair: Pair, two: Gate, words: str, more: dict[str, Any], why: str
) -> None:
    answer = await two.stream(f"fault:{words} after=5 lost for {why}.", **more)
    assert answer.status_code == 200
    *_, last = datas(answer.text)
    assert why in json.loads(last)["error"]["message"]
    assert "token_ids" not in answer.text
    assert len(tries(pair, f"lost for {why}.")) == 1


async def test_a_call_without_a_name_yet_is_no_failure_of_the_next_engine(two: Gate) -> None:
    """What was made of it is markup, which another engine would tell as content: it is not even asked."""
    answer = await two.stream("fault:drop_naming naming.", tools=[TOOL])
    *_, last = datas(answer.text)
    failed = json.loads(last)["error"]
    assert "a tool call was under way" in failed["message"] and failed["code"] == "engine_lost"
    assert "tool_call" not in answer.text
    assert await continued(two) == 1, "and not a third time"


# Engines that are left out, and come back.


async def test_one_that_answers_wrong_is_left_out_and_comes_back(pair: Pair, two: Gate) -> None:
    left = two.fleet.engines[0]
    pair[0].afflict("html")
    answers = await asyncio.gather(*(two.ask(f"wrong {n}.") for n in range(16)))
    assert {answer.status_code for answer in answers} == {200}
    await until(lambda: not left.ready, "the engine to be left out")
    assert "text/html" in left.snapshot.cause
    assert (await two.ask("meanwhile.")).status_code == 200
    pair[0].afflict()
    await until(lambda: left.ready, "the engine to be back")
    assert left.snapshot.cause == ""


async def test_streams_at_one_that_hangs_go_on_at_the_other(pair: Pair, two: Gate) -> None:
    asks = [two.stream(f"fault:slow interval=0.1 hung {n}.") for n in range(6)]
    running = [asyncio.create_task(ask) for ask in asks]
    await until(lambda: pair[0].running and pair[1].running, "both to be at work")
    await asyncio.sleep(0.2)
    pair[0].afflict("hang")
    for answer in await asyncio.gather(*running):
        assert answer.text.endswith("data: [DONE]\n\n"), answer.text
        assert "error" not in answer.text
        assert meant(answer.text.encode())["content"] == " w3 w4 w5"
    assert "it hangs" in str(two.lines)


# One engine alone.


def launched(folder: Path) -> Fleet:
    """A fleet of one fake of our own; each of its lives leaves its pid in `births`."""
    socket, births = folder / "engine.sock", folder / "births"
    words = (sys.executable, str(FAKE), "--uds", str(socket), "--births", str(births))
    settings = EngineSettings(served_as=("fake",), stop_grace_s=5, start_timeout_s=20)
    log = Log("json", lambda line: None)
    one = Launched("engine-0", Order(Command(words), settings), socket, folder / "log", log)
    one.pace = QUICK
    return Fleet([one])


async def again(gate: Gate, restarts: int = 1) -> None:
    one = gate.fleet.engines[0]
    await until(lambda: one.snapshot.restarts == restarts and one.ready, "its next life")


async def test_those_who_wait_and_those_who_run_live_through_a_restart(tmp_path: Path) -> None:
    """It is alone, so its streams cannot go on; those that had not begun are asked anew."""
    asked = config(limits={"running": 2, "queued": 16, "wait_s": 30})
    async with gateway(asked, launched(tmp_path)) as gate:
        streams = [gate.stream(f"fault:late wait=1 restart {n}.") for n in range(2)]
        streams.append(gate.ask("fault:late wait=1 restart whole."))
        running = [asyncio.create_task(stream) for stream in streams]
        await until(lambda: gate.fleet.engines[0].seen().requests == 2, "some to run")

        async def queued() -> bool:
            held = await gate.figure("seekserve_places_taken")
            return held + await gate.figure("seekserve_queue_depth") == 3

        await until(queued, "the others to wait")
        births = (tmp_path / "births").read_text().split()
        os.kill(int(births[0]), signal.SIGKILL)
        answers = await asyncio.gather(*running)
        assert [answer.status_code for answer in answers] == [200] * 3
        assert all(" w5" in answer.text for answer in answers)
        assert gate.fleet.engines[0].snapshot.restarts == 1
        await gate.at_rest()


async def test_a_stream_of_one_alone_that_had_begun_ends_with_an_error(tmp_path: Path) -> None:
    async with gateway(config(), launched(tmp_path)) as gate:
        answer = await gate.stream("fault:die_mid_stream begun.")
        error = json.loads(datas(answer.text)[-1])["error"]
        assert error["code"] == "engine_error"
        await again(gate)
        assert (await gate.ask()).status_code == 200
        await gate.at_rest()


async def test_poison_does_not_kill_one_alone_again_and_again(tmp_path: Path) -> None:
    async with gateway(config(), launched(tmp_path)) as gate:
        answer = await gate.ask("fault:exit poison.")
        assert answer.status_code == 502
        await again(gate, 2)
        assert (await gate.ask()).status_code == 200
        await gate.at_rest()


async def test_an_attached_one_that_comes_back_answers_those_it_failed(tmp_path: Path) -> None:
    """Nobody tells us that its process died: that takes a few looks."""
    fleet: list[Fleet] = []
    with fake_engine(tmp_path) as first:
        asked = config(first.url, limits={"running": 2, "queued": 16, "wait_s": 30})
        fleet.append(assemble(asked, Log("json", lambda line: None)))
        async with gateway(asked, fleet[0]) as gate:
            running = asyncio.create_task(gate.ask("fault:late wait=1 back."))
            await until(lambda: first.running, "it to run")
            first.process.kill()
            first.process.wait()
            os.unlink(first.url.removeprefix("unix:"))
            await until(lambda: not gate.fleet.ready or running.done(), "it to be missed")
            assert not running.done(), running.result().text
            with fake_engine(tmp_path):
                assert (await running).status_code == 200

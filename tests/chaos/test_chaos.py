"""The harness itself: the same seed is the same schedule, a verdict that can fail, a short run of it all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos import chaos
from tests.chaos.asks import Ask, Dialect, every, sums_and_counts
from tests.chaos.line import Heard, dial
from tests.chaos.outcome import Outcome, judged
from tests.chaos.records import Left, Record, Run, Stroke
from tests.chaos.schedule import CLIENT, ENGINE, SERVER, schedule
from tests.chaos.soak import Soak, drawn
from tests.chaos.stage import Kind
from tests.chaos.verdict import none_ready, verdict

SEED, SECONDS = 10, 9.0


async def test_a_short_run_holds_every_bar() -> None:
    run = await chaos.run(SEED, SECONDS, "fake")
    missed = {bar.name: bar.by[:5] for bar in verdict(run) if not bar.holds}
    assert not missed
    assert len(run.records) > 20
    assert {stroke.kind for stroke in run.strokes} & set(ENGINE["fake"])


# The schedule.


def test_a_seed_is_a_schedule() -> None:
    assert schedule(3, 300, "fake") == schedule(3, 300, "fake") != schedule(4, 300, "fake")


@pytest.mark.parametrize("kind", ["real", "fake"])
def test_every_fault_comes_up(kind: Kind) -> None:
    """In any five minutes, and in the order of their moments."""
    for seed in range(20):
        faults = schedule(seed, 300, kind)
        assert {fault.kind for fault in faults} == {*ENGINE[kind], *SERVER, *CLIENT}
        assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
        assert faults[-1].at < 300


# How an answer ended.

CHUNK = {"choices": [{"index": 0, "delta": {"content": "42"}}]}
THOUGHT = {"choices": [{"delta": {"reasoning_content": "4"}}]}
ERROR = {"error": {"message": "lost", "type": "server_error", "code": "engine_lost"}}


def stream(*events: object) -> Heard:
    told = [e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events]
    return Heard(200, "text/event-stream", body=bytearray("".join(told), "utf-8"), end="whole")


DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("heard", "way"),
    [
        (stream(CHUNK, DONE), "answered"),
        (stream(CHUNK, ERROR), "error"),
        (stream(CHUNK), "lost"),
        (stream(CHUNK, DONE, DONE), "lost"),
        (stream(CHUNK, DONE, CHUNK), "lost"),
        (stream(CHUNK, ERROR, DONE), "lost"),
        (stream(ERROR, ERROR), "lost"),
        (stream("data: {half\n\n", DONE), "lost"),
        (replace(stream(CHUNK, DONE), end="cut"), "lost"),
        (replace(stream(CHUNK, DONE), stray=3), "lost"),
        (Heard(end="deaf"), "lost"),
        (Heard(502, body=bytearray(json.dumps(ERROR), "utf-8"), end="whole"), "refused"),
        (Heard(503, body=bytearray(json.dumps(ERROR), "utf-8"), end="whole"), "lost"),
        (Heard(502, body=bytearray(b"<html>"), end="whole"), "lost"),
        (Heard(200, body=bytearray(b'{"choices":[{"message":'), end="whole"), "lost"),
    ],
)
def test_there_are_three_ways_to_end(heard: Heard, way: str) -> None:
    assert judged("chat", heard).way == way


def test_the_text_of_every_api() -> None:
    told: dict[Dialect, list[object]] = {
        "chat": [THOUGHT, {"choices": [{"delta": {"content": "2"}}]}, DONE],
        "completions": [{"choices": [{"text": "42"}]}, DONE],
        "responses": [
            'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"42"}\n\n',
            'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n',
        ],
        "messages": [
            'event: ping\ndata: {"type":"ping"}\n\n',
            'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"42"}}\n\n',
            'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        ],
    }  # fmt: skip
    for dialect, events in told.items():
        outcome = judged(dialect, stream(*events))
        assert (outcome.way, outcome.text) == ("answered", "42"), dialect


# The verdict: each bar can be missed, and says by whom.

ASK = every(sums_and_counts(1))[0]
FINE = Outcome("answered", text="42", usage="2 ", spoke=True)


def record(id_: str, outcome: Outcome = FINE, ended: float = 1.0) -> Record:
    return Record(id_, ASK, "public", 0.0, ended, 10.0, outcome)


def run(*records: Record) -> Run:
    """In which nothing went wrong."""
    ids = [r.id for r in records if r.outcome.way == "answered"]
    made = Run(list(records), exit_code=0, unbroken={ASK.name: FINE})
    made.rows = [(id_, ASK.dialect, 200, "") for id_ in ids]
    made.down = {"engine-0": [(2.0, 3.0)], "engine-1": []}
    made.strokes = [Stroke("kill", 1.9, 0, fenced_at=2.0, back_at=3.0)]
    return made


def missed(made: Run) -> dict[str, tuple[str, ...]]:
    return {bar.name: bar.by for bar in verdict(made) if not bar.holds}


def test_nothing_wrong_is_nothing_missed() -> None:
    assert missed(run(record("a"), record("b", Outcome("refused", "503 queue_full")))) == {}


LOST = Outcome("lost", "cut")
GONE = Outcome("refused", "502 engine_lost")
BREAKS: dict[str, tuple[Callable[[Run], object], str]] = {
    "every request ends in exactly one way": (lambda r: r.records.append(record("x", LOST)), "x "),
    "none past its deadline": (lambda r: r.records.append(record("x", GONE, 11.0)), "x "),
    "not started when an engine died, failed": (
        lambda r: r.records.append(record("x", GONE)),
        "x ",
    ),
    "places, tasks, sockets, engine requests left after 5 s": (
        lambda r: setattr(r, "left", Left(tasks=1)),
        "1 tasks",
    ),
    "answered requests, ledger rows": (lambda r: r.rows.pop(), "a:"),
    "ledger rows lost": (lambda r: setattr(r, "rows_lost", 2), "2 rows"),
    "greedy answers as unbroken": (
        lambda r: r.records.append(record("x", Outcome("error", "engine_lost", "41"))),
        "x ",
    ),
    "engines": (lambda r: r.down["engine-1"].append((5.0, 6.0)), "engine-1"),
    "defects in the server's log": (lambda r: r.defects.append("relay.py:1"), "relay.py"),
    "exit code after SIGTERM": (lambda r: setattr(r, "exit_code", 1), "the server"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_bar_can_be_missed(name: str) -> None:
    made, (spoil, who) = run(record("a")), BREAKS[name]
    assert set(BREAKS) == {bar.name for bar in verdict(made)}
    spoil(made)
    found = missed(made)
    assert name in found and found[name][0].startswith(who)


def test_a_row_too_many_and_a_row_of_another_route_are_noticed() -> None:
    made = run(record("a"), record("b"))
    made.rows.append(made.rows[0])
    made.rows[1] = ("b", "embeddings", 200, "")
    (by,) = missed(made).values()
    assert len(by) >= 2 and by[0].startswith("a:")


def test_what_is_refused_while_no_engine_is_ready_is_no_failure() -> None:
    made = run(record("a"), record("x", GONE, ended=2.6))
    assert "not started when an engine died, failed" in missed(made)
    made.down["engine-1"].append((2.5, 2.7))
    made.strokes.append(Stroke("kill", 2.4, 1, fenced_at=2.5, back_at=2.7))
    assert none_ready(made) == [(2.5, 2.7)]
    assert missed(made) == {}


def test_no_answer_at_all_is_no_verdict() -> None:
    assert "every request ends in exactly one way" in missed(run())


# The rest.


async def test_a_line_hears_a_cut_a_silence_and_a_stray_word() -> None:
    answers = iter(
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        ]
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer := next(answers, b""):
            writer.write(answer)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for end in ("cut", "whole", "late"):
            heard, line = Heard(), await dial(port)
            assert line is not None
            await line.ask(b"GET / HTTP/1.1\r\n\r\n", 5 if end != "late" else 0.05, heard)
            assert heard.end == end
            line.close()
    assert await dial(port) is None


def test_a_soak_notices_growth_and_descriptors() -> None:
    at = [10.0 * n for n in range(121)]
    steady = Soak(20, at, [100.0] * 121, [40.0] * 121, asked=1)
    assert steady.holds
    assert not replace(steady, mib=[100 + n / 10 for n in range(121)]).holds
    assert not replace(steady, open=[40 + n // 10 for n in range(121)]).holds
    assert not replace(steady, failed=1).holds
    assert drawn([0, 1, 2], 3) == "▁▅█" and len(drawn(at, 60)) <= 60


def test_an_ask_names_itself_without_its_words() -> None:
    for ask in every(sums_and_counts(2)):
        assert isinstance(ask, Ask)
        assert ask.question.text not in ask.name
        assert b"authorization: Bearer k\r\n" in ask.request("m", "k", "1")

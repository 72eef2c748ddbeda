"""What is said to have happened: in which words, how often, and never more than is kept."""

from __future__ import annotations

import json

import pytest

from seekserve.console.happenings import MOST, PAGE, Happenings
from seekserve.console.saying import MOST_WORDS, Said, of_log, of_request
from seekserve.gateway.record import Trace
from seekserve.log import Fact, Log


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def over(**facts: object) -> Trace:
    trace = Trace("req-1", 0.0, "unique")
    trace.route, trace.model, trace.key, trace.key_class = "chat", "m", "ann", "public"
    for name, value in facts.items():
        setattr(trace, name, value)
    return trace


@pytest.mark.parametrize(
    ("name", "facts", "told"),
    [
        (
            "engine",
            {"name": "engine-0", "state": "failed", "cause": "it exited"},
            Said("engine", "error", "failed: it exited", engine="engine-0"),
        ),
        (
            "engine",
            {"name": "engine-0", "state": "ready", "cause": None},
            Said("engine", "info", "ready", engine="engine-0"),
        ),
        (
            "ops",
            {"action": "reload", "of": None, "changed": "limits.running: 32 -> 64"},
            Said("reload", "info", "reload: limits.running: 32 -> 64"),
        ),
        (
            "ops",
            {"action": "reload", "failed": "it is no YAML"},
            Said("reload", "error", "reload: failed: it is no YAML"),
        ),
        (
            "ops",
            {
                "action": "reload",
                "changed": "engine.env.HF_TOKEN: a -> b; engine.args.api-key: a -> b; x.max_tokens: 1 -> 2",
            },
            Said(
                "reload",
                "info",
                "reload: engine.env.HF_TOKEN: changed; engine.args.api-key: changed; x.max_tokens: 1 -> 2",
            ),
        ),
        ("ops", {"action": "keys add", "of": "ann"}, Said("keys", "info", "add ann", key="ann")),
        (
            "ops",
            {"action": "restart", "of": "engine-0", "changed": "restarted"},
            Said("engine", "info", "restart asked for: restarted", engine="engine-0"),
        ),
        (
            "keys_read",
            {"keys": 3, "door": "closed"},
            Said("keys", "info", "the key file was read: keys 3, door closed"),
        ),
        (
            "defect",
            {"id": "r", "kind": "KeyError", "at": "x.py:3"},
            Said("server", "error", "defect: kind KeyError, at x.py:3", "r"),
        ),
        ("request", {"id": "r", "route": "chat"}, None),
    ],
)  # fmt: skip
def test_the_log_in_words(name: str, facts: dict[str, Fact], told: Said | None) -> None:
    assert of_log(name, facts) == told


def test_words_are_one_line_and_short() -> None:
    facts: dict[str, Fact] = {"name": "e", "state": "failed", "cause": "a\nb\x1b[31m" + "x" * 500}
    said = of_log("engine", facts)
    assert said and len(said.words) == MOST_WORDS and said.words.isprintable()


def test_requests_in_words() -> None:
    refused = list(of_request(over(status=503, reason="queue_full", engine="engine-0")))
    assert [(s.kind, s.level, s.request, s.key) for s in refused] == [
        ("refused", "warn", "req-1", "ann")
    ]
    broke = list(of_request(over(status=200, reason="engine_lost", again=1, continued=2)))
    assert [s.kind for s in broke] == ["continued", "again", "broken"]
    assert [s.kind for s in of_request(over(status=502, reason="engine_error"))] == ["broken"]
    assert list(of_request(over(status=200))) == []


def test_who_leaves_is_no_event_and_nor_is_the_console() -> None:
    happenings = Happenings()
    happenings.over(over(status=499, reason="client_gone", again=1))
    happenings.over(over(status=0, reason="x"))
    happenings.over(over(status=401, reason="invalid_api_key", route="console"))
    happenings.over(over(status=200))
    assert happenings.told() == {"events": [], "more": False}


def test_a_burst_is_one_event_that_counts() -> None:
    clock = Clock()
    happenings = Happenings(clock)
    for _ in range(10):
        happenings.over(over(status=503, reason="queue_full"))
        happenings.over(over(status=503, reason="queue_full", key="bob"))
        clock.now += 1
    told = happenings.told()["events"]
    assert [(one["key"], one["times"]) for one in told] == [("bob", 10), ("ann", 10)]
    assert told[1]["at"] == 1000.0 and told[1]["number"] == 1
    clock.now += 10
    happenings.over(over(status=503, reason="queue_full"))
    assert [one["times"] for one in happenings.told()["events"]] == [1, 10, 10]


def test_news_is_what_came_or_counts_more_since() -> None:
    happenings = Happenings()
    happenings.over(over(status=503, reason="queue_full"))
    assert [one["times"] for one in happenings.news()] == [1]
    assert happenings.news() == []
    happenings.over(over(status=503, reason="queue_full"))
    assert [(one["number"], one["times"]) for one in happenings.news()] == [(1, 2)]


def test_pages_go_back_to_the_oldest_that_is_kept() -> None:
    happenings = Happenings()
    for number in range(MOST + 30):
        happenings.add(Said("server", "info", f"{number}"))
        happenings.told()
    seen, before, more = list[int](), None, True
    while more:
        page = happenings.told(before)
        assert len(page["events"]) <= PAGE
        seen += [one["number"] for one in page["events"]]
        before, more = seen[-1], page["more"]
    assert seen == list(range(MOST + 30, 30, -1))


def test_a_listener_hears_what_the_log_is_told_even_where_nobody_reads_it() -> None:
    def broken(line: str) -> None:
        raise OSError("no space")

    log, heard = Log("json", broken), list[tuple[str, str]]()
    log.listen(lambda name, facts: heard.append((name, json.dumps(facts))))
    log.event("engine", name="e", state="ready", cause=None)
    assert heard == [("engine", '{"name": "e", "state": "ready", "cause": null}')]

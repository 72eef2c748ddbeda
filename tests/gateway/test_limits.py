"""What a key may still do: buckets with time as an argument, and the caps over a real server."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seekserve.errors import BudgetSpent, RateLimited
from seekserve.gateway import keyfile, limits
from seekserve.gateway.caps import Caps
from seekserve.gateway.keys import Key, Secret
from seekserve.gateway.limits import Bucket, Use
from seekserve.gateway.record import Trace
from seekserve.gateway.sizes import Size
from seekserve.settings import Prices
from tests.gateway.test_keyfile import add, behind_keys
from tests.support import FakeEngine, Gate, config, gateway, post, raw, until

BASE: dict[str, Any] = {
    "id": "0123456789ab",
    "name": "alice",
    "secrets": (Secret(sha256="0" * 64),),
    "created_at": datetime.fromtimestamp(0, UTC),
}


def key(**more: Any) -> Key:
    return Key.model_validate(BASE | more)


def asked(one: Key, use: Use, now: float) -> RateLimited | None:
    """One more request at a time: let in, and then over at once, or refused."""
    limits.fill(one, use, now)
    refused = limits.refusal(one, use)
    if not refused:
        use.requests.take(1)
    return refused


def test_a_minutes_worth_at_once_then_a_steady_pace() -> None:
    one, use = key(requests_per_min=6), Use()
    assert [bool(asked(one, use, 100.0)) for _ in range(8)] == [False] * 6 + [True] * 2
    assert asked(one, use, 109.9)
    assert not asked(one, use, 110.001)
    assert asked(one, use, 110.002)
    assert [bool(asked(one, use, 1e6)) for _ in range(7)] == [False] * 6 + [True]


def test_the_refusal_says_how_long() -> None:
    one, use = key(requests_per_min=6), Use()
    for _ in range(6):
        asked(one, use, 0.0)
    refused = asked(one, use, 2.5)
    assert refused and refused.retry_after_s == pytest.approx(7.5)
    assert "6 requests per minute" in refused.message and "in 8s" in refused.message
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert not asked(one, use, 2.5 + (refused.retry_after_s or 0) + 1e-6)


def test_tokens_are_charged_afterwards_and_worked_off() -> None:
    one, use = key(tokens_per_min=600), Use()
    assert not asked(one, use, 0.0)
    use.tokens.take(1200)
    refused = asked(one, use, 0.0)
    assert refused and refused.retry_after_s == pytest.approx(60.1)
    assert "600 tokens per minute" in refused.message
    assert asked(one, use, 60.0)
    assert not asked(one, use, 60.2)


def test_a_changed_limit_holds_at_once() -> None:
    use = Use()
    assert not asked(key(requests_per_min=100), use, 0.0)
    assert [bool(asked(key(requests_per_min=2), use, 0.0)) for _ in range(3)] == [
        False,
        False,
        True,
    ]
    assert not asked(key(), use, 0.0), "no limit any more"
    assert not asked(key(requests_per_min=2), use, 0.0), "a new one begins full"


@pytest.mark.parametrize("now", [-1e9, 0.0, 1e9])
def test_whatever_the_clock_says_at_first_a_bucket_is_full(now: float) -> None:
    bucket = Bucket()
    bucket.fill(5, now)
    assert bucket.level == 5
    bucket.take(3)
    bucket.fill(5, now - 100)
    assert bucket.level == 2, "a clock that goes back gives nothing"


def test_headers_are_of_the_limits_there_are() -> None:
    use = Use()
    limits.fill(key(), use, 0.0)
    assert limits.headers(key(), use) == []
    one = key(requests_per_min=60, tokens_per_min=6000)
    limits.fill(one, use, 0.0)
    use.requests.take(2)
    use.tokens.take(6500)
    assert dict(limits.headers(one, use)) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"58",
        b"x-ratelimit-reset-requests": b"2s",
        b"x-ratelimit-limit-tokens": b"6000",
        b"x-ratelimit-remaining-tokens": b"0",
        b"x-ratelimit-reset-tokens": b"1m5s",
    }


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-1, "0s"), (0, "0s"), (0.0001, "1ms"), (0.12, "120ms"), (1, "1s"), (59.1, "1m0s"), (360, "6m0s")],
)  # fmt: skip
def test_a_span_is_never_told_shorter_than_it_is(seconds: float, told: str) -> None:
    assert limits.span(seconds) == told


def scope_of(one: Key | None) -> dict[str, Any]:
    return {"key": one, "trace": Trace("id", 0.0, "engine-id")}


def arrives(caps: Caps, one: Key) -> None:
    """A body of its, whole at once."""
    with caps.arriving(scope_of(one)):
        pass


async def test_a_place_comes_back_by_every_road() -> None:
    caps, one = Caps(lambda: 0.0), key(concurrency=1)

    async def holding(ending: BaseException | None) -> None:
        async with caps.held(scope_of(one)):
            with pytest.raises(RateLimited, match="runs 1 request, and may run 1 at once"):
                async with caps.held(scope_of(one)):
                    raise AssertionError
            if ending:
                raise ending

    for ending in (None, ValueError(), asyncio.CancelledError()):
        if ending is None:
            await holding(None)
        else:
            with pytest.raises(type(ending)):
                await holding(ending)
    async with caps.held(scope_of(one)):
        pass


async def test_one_keys_use_is_not_anothers() -> None:
    caps = Caps(lambda: 0.0)
    async with caps.held(scope_of(key(concurrency=1))):
        async with caps.held(scope_of(key(id="0" * 11 + "1", name="bob", concurrency=1))):
            pass
        async with caps.held(scope_of(None)), caps.held(scope_of(None)):
            pass


async def test_a_refused_request_costs_nothing() -> None:
    caps, one = Caps(lambda: 0.0), key(concurrency=1, requests_per_min=2)
    async with caps.held(scope_of(one)):
        for _ in range(5):
            with pytest.raises(RateLimited, match="at once"):
                async with caps.held(scope_of(one)):
                    raise AssertionError
    async with caps.held(scope_of(one)):
        pass


@pytest.mark.parametrize(
    ("spent", "refused"), [(0.0, False), (9.99, False), (10.0, True), (math.inf, True)]
)
async def test_a_budget_is_spent_when_it_is_spent(spent: float, refused: bool) -> None:
    caps, names = Caps(lambda: 0.0, Prices(currency="USD")), []

    def told(name: str) -> float:
        names.append(name)
        return spent

    caps.spent = told
    one = key(monthly_budget=10)
    if not refused:
        async with caps.held(scope_of(one)):
            assert names == ["alice"]
        return
    with pytest.raises(BudgetSpent, match=r"^Insufficient balance: .*10\.00 USD") as raised:
        async with caps.held(scope_of(one)):
            raise AssertionError
    assert (raised.value.status, raised.value.type) == (402, "insufficient_quota")


async def test_by_default_nothing_is_spent() -> None:
    async with Caps(lambda: 0.0).held(scope_of(key(monthly_budget=0.01))):
        pass


async def test_what_runs_is_charged_by_its_estimate_until_more_is_known() -> None:
    caps, one = Caps(lambda: 0.0), key(tokens_per_min=1000)
    scope = scope_of(one)
    async with caps.held(scope, lambda: Size(300, 400)):
        assert (b"x-ratelimit-remaining-tokens", b"300") in scope["trace"].headers
        async with caps.held(scope_of(one), lambda: Size(300, 400)):
            with pytest.raises(RateLimited, match=r"1000 tokens per minute, .* the rest \(1400\)"):
                async with caps.held(scope_of(one), lambda: Size(1, 1)):
                    raise AssertionError
        scope["trace"].tokens = {"prompt": 100, "completion": 50}
    scope = scope_of(one)
    async with caps.held(scope, lambda: Size(0, 0)):
        assert (b"x-ratelimit-remaining-tokens", b"850") in scope["trace"].headers


async def test_a_burst_cannot_pass_a_budget() -> None:
    caps, one = Caps(lambda: 0.0, Prices(completion=1_000_000)), key(monthly_budget=10)
    caps.spent = lambda name: 5.0
    async with caps.held(scope_of(one), lambda: Size(100, 4)):
        arrives(caps, one)
        async with caps.held(scope_of(one), lambda: Size(100, 4)):
            with pytest.raises(
                RateLimited, match=r"5\.00 USD of its 10\.00 USD .* cost 8 USD\. Send"
            ):
                arrives(caps, one)
    arrives(caps, one)


@pytest.mark.parametrize(("before", "after"), [(1_000_000, 0), (0, 1_000_000)])
async def test_a_new_price_leaves_nothing_owed(before: float, after: float) -> None:
    caps, one = Caps(lambda: 0.0, Prices(completion=before)), key(monthly_budget=10)
    async with caps.held(scope_of(one), lambda: Size(0, 20)):
        caps.adopt(Prices(completion=after))
    caps.adopt(Prices(completion=1_000_000))
    arrives(caps, one)
    async with caps.held(scope_of(one), lambda: Size(0, 11)):
        with pytest.raises(RateLimited, match=r"expected to cost 11 USD\. Send"):
            arrives(caps, one)


async def test_the_keys_that_use_most_are_told_by_name() -> None:
    caps = Caps(lambda: 0.0)
    for number in range(30):
        scope = scope_of(key(id=f"{number:012}", name=f"key-{number}"))
        async with caps.held(scope):
            scope["trace"].tokens = {"prompt": number, "completion": 1, "cached": 5}
    (name, _, labels, told), *_ = caps.gauges()
    assert (name, labels, len(told)) == ("key_tokens", ("key",), 21)
    assert told[0] == (("key-29",), 30.0)
    assert told[-1] == (("(others)",), sum(range(1, 11)))


# Through the server.


def left(answer: Any, what: str) -> int:
    return int(answer.headers[f"x-ratelimit-remaining-{what}"])


async def test_requests_per_minute(engine: FakeEngine, tmp_path: Path) -> None:
    async with behind_keys(engine, tmp_path, requests_per_min=2) as gate:
        first, second, third = [await gate.ask() for _ in range(3)]
        assert [a.status_code for a in (first, second, third)] == [200, 200, 429]
        assert (left(first, "requests"), left(second, "requests")) == (1, 0)
        assert third.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(third.headers["retry-after"]) <= 31
        assert third.headers["x-ratelimit-limit-requests"] == "2"
        assert third.headers["x-ratelimit-reset-requests"].endswith("s")
        told = await gate.client.post(
            "/anthropic/v1/messages",
            json={"model": "fake", "max_tokens": 5, "messages": gate.chat()["messages"]},
        )
        assert told.status_code == 429 and told.json()["type"] == "error"
        assert told.json()["error"]["type"] == "rate_limit_error"
        assert (await gate.client.get("/v1/models")).status_code == 200, "no generation, no count"
        reasons = "seekserve_rejections_total{class=public,reason=rate_limit_exceeded}"
        assert (await gate.figures())[reasons] == 2


async def test_tokens_per_minute(engine: FakeEngine, tmp_path: Path) -> None:
    async with behind_keys(engine, tmp_path, tokens_per_min=20) as gate:
        first = await gate.stream()
        assert (first.status_code, left(first, "tokens")) == (200, 0), "its estimate is taken"
        second = await gate.ask()
        assert second.status_code == 200, "the first came to 12 and 6 tokens: 2 were left"
        refused = await gate.stream()
        assert refused.status_code == 429 and left(refused, "tokens") == 0
        assert "20 tokens per minute" in refused.json()["error"]["message"]
        assert "x-ratelimit-limit-requests" not in refused.headers


async def test_the_next_is_told_what_the_last_came_to(engine: FakeEngine, tmp_path: Path) -> None:
    async with behind_keys(engine, tmp_path, tokens_per_min=100_000) as gate:
        lefts = [left(await gate.ask(), "tokens") for _ in range(3)]
        expected = [100_000 - 18 * number for number in range(3)]
        assert all(0 <= most - told <= 300 for most, told in zip(expected, lefts, strict=True))


async def test_a_key_at_its_limit_is_told_before_its_body_is_read(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with behind_keys(engine, tmp_path, requests_per_min=1) as gate:
        assert (await gate.ask()).status_code == 200
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"):
            refused = await gate.client.post(path, content=b"{" * 100_000)
            assert refused.status_code == 429, path


async def test_no_limits_no_headers(gate: Gate) -> None:
    assert not [name for name in (await gate.ask()).headers if name.startswith("x-ratelimit")]


async def test_a_place_is_free_again_when_its_client_leaves(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with behind_keys(engine, tmp_path, concurrency=1) as gate:
        body = json.dumps(gate.chat("fault:hang_mid_stream", stream=True)).encode()
        auth = f"x-api-key: {gate.client.headers['x-api-key']}"
        _, writer = await raw(gate.port, post(body, "/v1/chat/completions", auth))
        await until(lambda: engine.running == 1, "the first to run")
        refused = await gate.ask()
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "concurrency_exceeded"
        assert refused.headers["retry-after"] == "1"
        writer.transport.abort()

        async def again() -> bool:
            return (await gate.ask()).status_code == 200

        await until(again, "the place to be free")
        await gate.at_rest()


async def test_a_body_that_still_comes_has_a_place_of_its_keys(
    engine: FakeEngine, tmp_path: Path
) -> None:
    """Else one key may fill the memory with what it has no place for."""
    async with behind_keys(engine, tmp_path, concurrency=2) as gate:
        head = post(b"", "/v1/chat/completions", f"x-api-key: {gate.client.headers['x-api-key']}")
        begun = head.replace(b"content-length: 0", b"content-length: 4000000") + b"{" * 1000
        writers = [(await raw(gate.port, begun))[1] for _ in range(2)]

        async def refused() -> bool:
            return (await gate.ask()).status_code == 429

        await until(refused, "both to have a place")
        told = (await gate.ask()).json()["error"]
        assert told["code"] == "concurrency_exceeded" and "runs 2 requests" in told["message"]
        for writer in writers:
            writer.transport.abort()

        async def again() -> bool:
            return (await gate.ask()).status_code == 200

        await until(again, "the places to be free")


async def test_a_spent_budget_is_402(engine: FakeEngine, tmp_path: Path) -> None:
    text = add(tmp_path / keyfile.NAME, "alice", monthly_budget=0.01)
    settings = config(engine.url, state_dir=tmp_path)
    prices = settings.tier.prices.model_copy(update={"prompt": 600.0, "completion": 600.0})
    tier = settings.tier.model_copy(update={"prices": prices})
    async with gateway(settings.model_copy(update={"tier": tier})) as gate:
        gate.client.headers["x-api-key"] = text
        (whole,) = (await gate.client.get("/user/balance")).json()["balance_infos"]
        assert (whole["currency"], whole["total_balance"]) == ("USD", "0.01")
        assert (await gate.ask()).status_code == 200

        async def refused() -> Any:
            answer = await gate.ask()
            return answer if answer.status_code == 402 else None

        told = (await until(refused, "the budget to be spent")).json()["error"]
        assert told["type"] == "insufficient_quota"
        assert told["message"].startswith("Insufficient balance")
        assert "seekserve keys change alice --monthly-budget" in told["message"]
        left = (await gate.client.get("/user/balance")).json()
        assert not left["is_available"] and left["balance_infos"][0]["total_balance"] == "0.00"
        raised = await gate.ops.post("/keys/alice/change", json={"monthly_budget": 1000})
        assert raised.json()["monthly_budget"] == 1000
        assert (await gate.ask()).status_code == 200, "in force with the answer"

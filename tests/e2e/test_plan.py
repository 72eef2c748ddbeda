"""What was promised against what the engine came to, for the demo tier and for a ladder that was climbed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.server import Served

FOLDER = Path(__file__).parents[2] / "server" / "seekserve" / "demo" / "model"


def sizes(ops: httpx.Client) -> dict[tuple[str, str], float]:
    """`seekserve_engine_size` by (of, kind)."""
    page = ops.get("/metrics").text
    return {
        (sample.labels["of"], sample.labels["kind"]): sample.value
        for family in text_string_to_metric_families(page)
        if family.name == "seekserve_engine_size"
        for sample in family.samples
    }


def test_the_demo_tiers_cache_is_what_was_planned(server: Served) -> None:
    with server.ops() as ops:
        found = sizes(ops)
    planned, actual = found["kv_cache_tokens", "planned"], found["kv_cache_tokens", "actual"]
    assert actual > 100_000
    assert planned == pytest.approx(actual, rel=0.05)
    assert "plan name=engine-0 of=kv_cache_tokens" in server.said()


def is_what_its_ladder_promised(served: Served) -> None:
    """Of a server that was started with `a_ladder`."""
    said = served.said()
    assert "not taken: deepseek-v4-pro" in said
    assert "FITS" in said
    body = {"model": "model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    with served.client() as client, served.ops() as ops:
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] > 0
        found = sizes(ops)
    planned, actual = found["kv_cache_tokens", "planned"], found["kv_cache_tokens", "actual"]
    assert planned == pytest.approx(actual, rel=0.05)


def a_ladder(folder: Path) -> Path:
    """A tier file whose first rung fits no machine of ours."""
    path = folder / "tier.yaml"
    path.write_text(
        "tier: mine\n"
        "ladder:\n"
        "  - {model: deepseek-v4-pro}\n"
        f"  - {{model: {FOLDER}, context: 1024, max_num_seqs: 4, enforce_eager: true}}\n"
        "defaults: {max_tokens: 16, thinking: engine}\n"
    )
    return path

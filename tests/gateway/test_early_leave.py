"""Who leaves before the engine told its counts is charged by what went by: about a token an event."""

from __future__ import annotations

import pytest

from tests.support import FakeEngine, config, gateway

LONG = "fault:slow interval=0.02 tokens=400 "


@pytest.mark.parametrize("read", [1, 20])
async def test_a_stream_cut_before_its_usage_is_charged(engine: FakeEngine, read: int) -> None:
    async with gateway(config(engine.url)) as gate:
        body = gate.chat(LONG + "x" * 400, stream=True)
        async with gate.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            seen = 0
            async for line in answer.aiter_lines():
                seen += line.startswith("data:")
                if seen > read:
                    break
        await gate.at_rest()
        figures = await gate.figures()
        assert figures["seekserve_prompt_tokens_total{class=public,model=fake}"] >= 100
        assert read <= figures["seekserve_completion_tokens_total{class=public,model=fake}"] < 100

"""The server as curl sees it: raw status lines, headers and events."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.e2e.server import KEY, MODEL, Served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(url: str, *flags: str, key: str = KEY) -> str:
    command = [
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "-m",
        "60",
        "-H",
        f"Authorization: Bearer {key}",
        *flags,
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout


def body(**more: object) -> str:
    return json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "What is 17 + 25?"}]} | more
    )


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_chat_with_and_without_the_prefix(server: Served, prefix: str) -> None:
    page = curl(f"{server.root}{prefix}/chat/completions", "-d", body(temperature=0))
    message = json.loads(page)["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert "42" in message["content"]
    assert "null" not in json.dumps(message)


def test_the_stream_is_well_formed(server: Served) -> None:
    page = curl(f"{server.base}/chat/completions", "-i", "-N", "-d", body(stream=True))
    head, _, events = page.partition("\n\n")
    assert "200 OK" in head and "text/event-stream" in head and "x-request-id" in head
    datas = [
        line.removeprefix("data: ") for line in events.splitlines() if line.startswith("data: ")
    ]
    assert datas[-1] == "[DONE]"
    chunks = [json.loads(data) for data in datas[:-1]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert all("reasoning" not in delta for delta in deltas)
    assert all(delta.get("reasoning_content", "x") for delta in deltas)
    assert not any("reasoning_content" in d and d.get("content") for d in deltas)


def test_no_key_is_refused_everywhere_but_at_the_health_routes(server: Served) -> None:
    for path, wanted in {
        "/health/live": "200",
        "/health/ready": "200",
        "/metrics": "401",
        "/version": "401",
        "/server": "401",
        "/docs": "401",
        "/openapi.json": "401",
        "/v1/models": "401",
        "/nowhere": "401",
    }.items():
        code = curl(server.root + path, "-o", "/dev/null", "-w", "%{http_code}", key="")
        assert code == wanted, path


def test_the_engine_is_not_reachable_through_us(server: Served) -> None:
    for path in (
        "/tokenize",
        "/invocations",
        "/v1/responses/x",
        "/pause",
        "/ping",
        "/load",
        "/metrics",
        "/version",
        "/reload",
        "/keys",
        "/v1/load_lora_adapter",
    ):
        page = json.loads(curl(server.root + path, "-d", "{}"))
        assert page["error"]["code"] in ("no_route", "method_not_allowed", "response_not_found"), (
            path
        )


def test_x_api_key_works_too(server: Served) -> None:
    command = ["curl", "-sS", "--noproxy", "*", "-H", f"x-api-key: {KEY}", f"{server.base}/models"]
    assert MODEL in subprocess.run(command, capture_output=True, text=True, check=True).stdout

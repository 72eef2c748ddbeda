"""The OpenAI SDK for Node, installed from npm, against the same server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.server import KEY, MODEL, Served
from tests.e2e.waiting import until

HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "client.mjs"):
        shutil.copy(HERE / name, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(install, cwd=folder, check=True, timeout=180)
    return folder


def test_the_node_sdk_is_served(server: Served, project: Path) -> None:
    command = ["node", "client.mjs", server.base, KEY, MODEL]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert "42" in seen["content"]
    assert seen["reasoning"]
    assert seen["hitAndMiss"] == seen["prompt"] > 0
    assert "42" in seen["streamed"]
    assert seen["reasoningInStream"] is False
    assert seen["usage"]["completion_tokens"] > 0
    assert seen["models"] == [MODEL]
    assert seen["error"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}
    until(lambda: server.running() == 0, "the stream that was left still runs")

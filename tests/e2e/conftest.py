"""One server on the demo tier for all end-to-end tests: a real vLLM, a real socket, a real key."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.server import KEY, MODEL, Served, free_port, serve

NODE = Path(__file__).parent / "node"
Node = Callable[[str], dict[str, Any]]
"""Runs one of the scripts in node/, and returns the JSON object that it prints."""


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("no vLLM is installed: make setup brings one")
    with serve("--tier", "demo", ops_port=free_port()) as served:
        served.wait_ready()
        yield served


@pytest.fixture
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def node(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Node:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(NODE, folder, dirs_exist_ok=True)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(install, cwd=folder, check=True, timeout=180)

    def run(script: str) -> dict[str, Any]:
        command = ["node", script, server.base, KEY, MODEL]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        seen: dict[str, Any] = json.loads(ran.stdout)
        return seen

    return run


@pytest.fixture(autouse=True)
def at_rest(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may leave the engine working."""
    yield
    if "server" in request.fixturenames:
        served: Served = request.getfixturevalue("server")
        assert served.process.poll() is None, served.said()

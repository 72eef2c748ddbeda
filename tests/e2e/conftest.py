"""One server on the demo tier for all end-to-end tests: a real vLLM, a real socket, a real key."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import openai
import pytest

from tests.e2e.server import KEY, Served, serve


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("no vLLM is installed: make setup brings one")
    with serve("--tier", "demo") as served:
        served.wait_ready()
        yield served


@pytest.fixture
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def at_rest(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may leave the engine working."""
    yield
    if "server" in request.fixturenames:
        served: Served = request.getfixturevalue("server")
        assert served.process.poll() is None, served.said()

"""Fixtures: a fake engine for all tests, one to kill, and the gateway in front of either.

The loop is uvloop, as when serving.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvloop

from tests.plan.vllm_parser import Vllm, running
from tests.support import SCRATCH, FakeEngine, Gate, config, fake_engine, gateway


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Asked only where pytest-xdist runs; without it the tests run one by one."""
    from tests.workers import Grouped

    return Grouped(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_unconfigure() -> None:
    """xdist ends its workers without their exit handlers."""
    SCRATCH.cleanup()


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no key of the machine's reaches a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SEEKSERVE_API_KEY", "SEEKSERVE_ENGINE_API_KEY", "SEEKSERVE_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeEngine]:
    """The fake engine that all tests share: for faults that it survives."""
    with fake_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeEngine]:
    """A fake engine of the test's own, to kill."""
    with fake_engine(tmp_path_factory.mktemp("mortal")) as running:
        yield running


@pytest.fixture(scope="session")
def vllm() -> Iterator[Vllm]:
    with running() as child:
        yield child


@pytest.fixture
async def gate(engine: FakeEngine) -> AsyncIterator[Gate]:
    """The gateway in front of the shared engine, open, with long waits."""
    async with gateway(config(engine.url)) as serving:
        yield serving

"""Our own OpenAPI document held against a running gateway: Schemathesis makes requests of it, good and
bad, and every answer must be one that the document has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from seekserve.app import build
from seekserve.engine.assembly import assemble
from seekserve.log import Log
from tests.support import Gate, config, fake_engine, gateway

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 25
PATIENCE_S = 10.0


def document() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        nothing = config("unix:/nowhere", state_dir=Path(folder))
        log = Log("json", lambda line: None)
        return build(nothing, assemble(nothing, log), log).api.app.openapi()


SCHEMA = schemathesis.openapi.from_dict(document())
ALL = list(SCHEMA.get_all_operations())
FOUND = [found.ok() for found in ALL if isinstance(found, Ok)]
OPERATIONS = {operation.label: operation for operation in FOUND}


@pytest.fixture
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    with fake_engine(tmp_path_factory.mktemp("openapi"), "--embeds") as engine:
        async with gateway(config(engine.url, limits={"body_mib": 4})) as serving:
            yield serving
            assert not [line for line in serving.lines if '"defect"' in line]


def tried(label: str, mode: GenerationMode, at: str, known: bool) -> set[int]:
    """Asks until the examples are used up; `known` names a model that there is. The statuses met."""
    met: set[int] = set()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=OPERATIONS[label].as_strategy(mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        if known and isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "fake"
        answer = case.call(base_url=at, timeout=PATIENCE_S)  # a stream is read to its end
        met.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    return met


def test_every_generation_route_is_in_the_document() -> None:
    assert len(FOUND) == len(ALL)  # none that cannot be read
    told = {label for label in OPERATIONS if label.startswith("POST")}
    assert {label.rpartition("/")[2] for label in told} == {
        *("completions", "responses", "embeddings", "messages", "count_tokens"),
    }


@pytest.mark.parametrize("label", OPERATIONS)
async def test_good_requests_are_answered_as_the_document_says(gate: Gate, label: str) -> None:
    at = f"http://127.0.0.1:{gate.port}"
    met = await asyncio.to_thread(tried, label, GenerationMode.POSITIVE, at, True)
    assert met & {200, 404}
    if label.startswith("POST"):
        assert 200 in met


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label.startswith("POST")])
async def test_bad_requests_are_refused_as_the_document_says(gate: Gate, label: str) -> None:
    at = f"http://127.0.0.1:{gate.port}"
    met = await asyncio.to_thread(tried, label, GenerationMode.NEGATIVE, at, True)
    assert 400 in met
    assert (await gate.ask()).status_code == 200

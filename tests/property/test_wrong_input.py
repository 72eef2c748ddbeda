"""Wrong input, at every endpoint: an error in its API's own shape that says what to do, never what
was sent; and a good request is answered right after.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.property.wrong import ENDPOINTS, GOOD, SECRET, Wrong, wrongs
from tests.support import Gate, config, fake_engine, gateway

PATIENCE_S = 10.0
KINDS = ("text/plain", "multipart/form-data; boundary=x", "application/xml", "", "a/b; charset=9")
NOBODY = ("nobody", "a/b/c", "%00", "%ff", "x" * 5000, "..%2f..", "%F0%9F%98%80")


@pytest.fixture
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    with fake_engine(tmp_path_factory.mktemp("wrong"), "--embeds") as engine:
        async with gateway(config(engine.url, limits={"body_mib": 4})) as serving:
            yield serving
            assert not [line for line in serving.lines if '"defect"' in line]


async def sent(
    gate: Gate, path: str, body: bytes, kind: str = "application/json"
) -> httpx.Response:
    asking = gate.client.post(path, content=body, headers={"content-type": kind})
    return await asyncio.wait_for(asking, PATIENCE_S)


def message(path: str, answer: httpx.Response) -> str:
    """The error's text, read in the shape of this path's clients."""
    told = answer.json()
    assert answer.headers["content-type"] == "application/json"
    error = told["error"]
    if "messages" in path:
        assert told["type"] == "error"
        assert set(error) == {"type", "message"}
        assert told["request_id"] == answer.headers["request-id"]
    else:
        assert set(told) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["code"], str)
    text: str = error["message"]
    return text


def check(path: str, answer: httpx.Response, statuses: tuple[int, ...], field: str = "") -> None:
    assert answer.status_code in statuses
    text = message(path, answer)
    assert SECRET not in answer.text
    assert 10 < len(text) < 400
    assert text[-1] in ".!"
    assert text.isprintable()
    assert field in answer.text


def complaint(path: str, wrong: Wrong, answer: httpx.Response) -> str:
    """What is not as it should be with this refusal, if anything."""
    try:
        check(path, answer, wrong.statuses, wrong.field)
    except AssertionError as error:
        why = str(error).partition("\n")[0][:80]
        return f"{wrong.name[:70]}: {answer.status_code} {answer.text[:200]} ({why})"
    return ""


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_wrong_input_is_refused_in_so_many_words(gate: Gate, path: str) -> None:
    complaints = []
    for wrong in wrongs(path):
        complaints.append(complaint(path, wrong, await sent(gate, path, wrong.body)))
        good = await sent(gate, path, json.dumps(GOOD[path]).encode())
        assert good.status_code == 200, wrong.name
    if any(complaints):
        pytest.fail("\n".join(filter(None, complaints)))


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_wrong_content_type_is_no_reason_to_refuse(gate: Gate, path: str) -> None:
    """Bodies are JSON whatever they are called; what is no JSON is refused for that."""
    for kind in KINDS:
        answer = await sent(gate, path, json.dumps(GOOD[path]).encode(), kind)
        assert answer.status_code == 200, answer.text
        check(path, await sent(gate, path, b"--x\r\nname=" + SECRET.encode(), kind), (400,))


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_other_methods_and_too_much(gate: Gate, path: str) -> None:
    wrong = await gate.client.request("PUT", path, content=SECRET)
    check(path, wrong, (405,))
    check(path, await sent(gate, path, b" " * (5 << 20)), (413,))


async def test_models_that_are_none(gate: Gate) -> None:
    for name in NOBODY:
        answer = await gate.client.get(f"/v1/models/{name}")
        check("/v1/models", answer, (404,))
        assert (await gate.client.get("/v1/models/fake")).status_code == 200
        assert (await gate.ask()).status_code == 200

"""Bodies that clients send, and whole answers and refusals that engines give."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from seekserve.api import body
from seekserve.dialect.anthropic import Count, Messages
from seekserve.dialect.chat import Chat
from seekserve.dialect.completions import Completions
from seekserve.dialect.continued import Continued
from seekserve.dialect.embeddings import Embeddings
from seekserve.dialect.responses import Responses
from seekserve.dialect.terms import Terms
from seekserve.errors import EngineBroke, Refusal
from seekserve.gateway.ask import Accent
from seekserve.gateway.caps import Caps
from seekserve.gateway.said import ODD, answer_of, counted, engine_said, finish
from seekserve.settings import Dialect, Limits, Prices
from tests.fuzz.cuts import Chooser, cut
from tests.property.rich import RICH
from tests.property.test_requests import SCHEMAS, TERMS, tried

LIMITS = Limits(body_mib=1, body_s=5)
ACCENTS: tuple[Accent, ...] = (
    Chat(),
    Completions(),
    Continued(thinks=True),
    Continued(thinks=False),
    Responses({"model": "m", "input": "x"}, {}, 1 << 20),
    Messages("m"),
    Count("m"),
    Embeddings(),
)
STATUSES = (200, 400, 404, 413, 422, 429, 500, 503)


def request(data: bytes) -> None:
    """Read in parts, under the cap; then a request in every schema, or refused in so many words."""
    chosen = Chooser(data)
    schema, seed = chosen.pick(tuple(SCHEMAS)), chosen.number(2)
    said = _read(cut(chosen.rest, seed))
    assert said == chosen.rest
    try:
        asked = body.parse(said, schema).model_dump(exclude_unset=True, by_alias=True)
        SCHEMAS[schema](asked, TERMS)
    except Refusal as refusal:
        told = json.loads(refusal.envelope())["error"]
        if refusal.status not in (400, 413) or not told["message"]:
            raise AssertionError(f"{refusal.status} {told}") from refusal
    _as_fields(schema, said)


def _as_fields(schema: Any, said: bytes) -> None:
    """Where the bytes are an object, its fields in a request that is good but for them."""
    try:
        given = json.loads(said)
    except (ValueError, RecursionError):
        return
    if isinstance(given, dict):
        good = {k: v for k, v in RICH[schema].items() if k in schema.model_fields}
        for terms in (TERMS, Terms(dialect=Dialect(strict=True))):
            told = tried(schema, good | given, terms)
            assert not isinstance(told, Refusal) or told.status in (400, 413)


def _read(parts: list[bytes]) -> bytes:
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return left.pop(0)

    asked = Request({"type": "http", "headers": [], "method": "POST", "path": "/"}, receive)
    return asyncio.run(body.read(asked, LIMITS, Caps(lambda: 0.0, Prices())))


def said(data: bytes) -> None:
    """Any bytes for a whole answer or a refusal: an answer, or the engine's failure told as such."""
    chosen = Chooser(data)
    accent, status = chosen.pick(ACCENTS), chosen.pick(STATUSES)
    if status != 200:
        refusal = engine_said(status, chosen.rest, "/v1/x")
        assert len(json.loads(refusal.envelope())["error"]["message"]) < 1000
        return
    try:
        told = answer_of(chosen.rest)
    except EngineBroke:
        return
    counts = counted(told.get("usage"))
    assert all(isinstance(count, int) for count in counts.values())
    assert isinstance(finish(told), str)
    try:
        json.dumps(accent.answer(told)).encode()
    except (EngineBroke, *ODD):
        pass

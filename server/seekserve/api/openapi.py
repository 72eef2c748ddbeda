"""The OpenAPI page: what is served, what is taken, and every way in which it is refused."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from seekserve.api.anthropic_schemas import CountTokensRequest, MessagesRequest
from seekserve.api.embeddings import EmbeddingsRequest
from seekserve.api.responses import ResponsesRequest
from seekserve.api.schemas import ChatRequest, CompletionRequest

BODIES: tuple[type[BaseModel], ...] = (
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ResponsesRequest,
    MessagesRequest,
    CountTokensRequest,
)
REFUSALS = {
    400: "What was sent cannot be served as it is: the message names the field and what it may be.",
    401: "No key, or one that is not known here.",
    403: "A web page of another site, or a foreign Host, on a server without a key.",
    404: "No such model.",
    405: "The route is served, but not by this method.",
    408: "The body did not arrive in time.",
    413: "The body is over the cap.",
    500: "A defect of this server; the message carries the request's id.",
    502: "The engine's answer could not be used.",
    503: "Starting, full or stopping; Retry-After says when to come back.",
}
_REF = "#/components/schemas/"
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def page(app: FastAPI) -> dict[str, Any]:
    """The whole document. Bodies are read by hand (capped), so their schemas are put in here."""
    told = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    parts = told.setdefault("components", {})
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    schemas = parts.setdefault("schemas", {})
    schemas["Error"] = _ERROR
    for model in BODIES:
        schema = model.model_json_schema(ref_template=_REF + "{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    for path, operations in told["paths"].items():
        for operation in operations.values():
            _finish(path, operation)
    return told


def _finish(path: str, operation: dict[str, Any]) -> None:
    """The body, the refusals and the keys of one operation."""
    operation["responses"].pop("422", None)  # FastAPI's own: nothing here answers it
    if path.startswith("/health"):
        operation["responses"]["503"] = {"description": "No engine can answer yet."}
        return
    operation["security"] = [{"bearer": []}, {"x-api-key": []}, {}]
    told = {"application/json": {"schema": {"$ref": f"{_REF}Error"}}}
    generates = operation.pop("x-schema", None)
    if generates:
        schema = {"application/json": {"schema": {"$ref": _REF + generates}}}
        operation["requestBody"] = {"required": True, "content": schema}
        kinds = {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {}}
        operation["responses"]["200"] = {"description": "The answer.", "content": kinds}
    for status, why in REFUSALS.items():
        if generates or status in (401, 403, 405, 500) or (status == 404 and "{" in path):
            content = {} if "messages" in path else {"content": told}
            operation["responses"][str(status)] = {"description": why} | content

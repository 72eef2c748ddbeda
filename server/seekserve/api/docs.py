"""/docs: the OpenAPI document as one page for people.

Nothing on it comes from elsewhere, and it runs no script: its policy would let neither happen. It
lists what the document says and tries nothing out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from seekserve.gateway.record import trace_of

Json = dict[str, Any]
STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}code{font:.9em ui-monospace,monospace}section{margin:2rem 0}"
    "td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}summary{cursor:pointer}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def router(document: Callable[[], Json]) -> APIRouter:
    """`document` gives the OpenAPI document of the app that this goes into."""
    routes = APIRouter()

    async def docs(request: Request) -> Response:
        trace_of(request.scope).route = "ops"
        return HTMLResponse(page(document()), headers=HEADERS)

    routes.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False)
    return routes


def page(told: Json) -> str:
    """The document as HTML."""
    about, schemas = told["info"], told["components"]["schemas"]
    title = f"{escape(about['title'])} {escape(about['version'])}"
    parts = "".join(_operation(*one, schemas) for one in _operations(told["paths"]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(about.get('summary', ''))} "
        f'For programs: <a href="openapi.json">openapi.json</a>.</p>{parts}</body></html>'
    )


def _operations(paths: Json) -> Iterator[tuple[str, list[str], Json]]:
    """(method, paths, operation): one that is served under several paths is told once."""
    known: dict[tuple[str, str], tuple[str, list[str], Json]] = {}
    for path, operations in paths.items():
        for method, operation in operations.items():
            same = (method, operation.get("description", ""))
            known.setdefault(same, (method.upper(), [], operation))[1].append(path)
    yield from known.values()


def _operation(method: str, paths: list[str], operation: Json, schemas: Json) -> str:
    heading = "<br>".join(f"<code>{method} {escape(path)}</code>" for path in paths)
    told = f"<h2>{heading}</h2><p>{escape(operation.get('description', ''))}</p>"
    content = operation.get("requestBody", {}).get("content", {})
    if ref := content.get("application/json", {}).get("schema", {}).get("$ref"):
        rows = "".join(_fields(schemas[ref.rpartition("/")[2]], schemas))
        told += f"<details><summary>Fields</summary><table>{rows}</table></details>"
    answers = "".join(
        f"<tr><th>{escape(status)}</th><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    told += f"<details><summary>Answers</summary><table>{answers}</table></details>"
    return f"<section>{told}</section>"


def _fields(schema: Json, schemas: Json) -> Iterator[str]:
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        about = field.get("description", "")
        about = f"Needed. {about}" if name in needed else about
        kind = escape(kind_of(field, schemas))
        yield f"<tr><th><code>{escape(name)}</code></th><td>{kind}</td><td>{escape(about)}</td></tr>"


def kind_of(schema: Json, schemas: Json, depth: int = 0) -> str:
    """A JSON schema in a few words, such as "list of string, or string"; null goes without saying."""
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        kinds = (kind_of(one, schemas, depth) for one in branches if one.get("type") != "null")
        return ", or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        named = schema["$ref"].rpartition("/")[2]
        fields = ", ".join(schemas[named].get("properties", {}))
        return f"{{{fields}}}" if fields and depth < 2 else named
    if "const" in schema or "enum" in schema:
        return " | ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}), schemas, depth + 1)}"
    bounds = (f"{sign} {schema[word]}" for word, sign in _BOUNDS.items() if word in schema)
    return ", ".join((str(schema.get("type", "anything")), *bounds))


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}

"""The page's own files: read once at the start, and told to whoever asks. No secret is in them.

Only what lay in the folder then is ever served: a path is looked up whole, never put together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from starlette.responses import Response

FOLDER = Path(__file__).with_name("page")
FRONT = "index.html"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
GUARDED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer of the Console."""


class File(NamedTuple):
    body: bytes
    kind: str
    etag: str


class Pages:
    """Each file by the path at which it is served."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = dict(_read(folder))

    def __len__(self) -> int:
        return len(self._files)

    def find(self, path: str) -> File | None:
        return self._files.get(path)


def answer(file: File, seen: str) -> Response:
    """The file; or that it is what the browser has `seen`, by its If-None-Match."""
    headers = {**GUARDED, "cache-control": "no-cache", "etag": file.etag}
    if file.etag in (one.strip().removeprefix("W/") for one in seen.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers={**headers, "content-type": file.kind})


def _read(folder: Path) -> Iterator[tuple[str, File]]:
    for path in sorted(folder.rglob("*")):
        kind = KINDS.get(path.suffix)
        if kind is None or not path.is_file() or path.is_symlink():
            continue
        name, body = path.relative_to(folder).as_posix(), path.read_bytes()
        file = File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        yield ("/console" if name == FRONT else f"/console/{name}"), file

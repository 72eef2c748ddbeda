"""The terminal's way to a server, over HTTP or its operators' socket: pages, and streams of events.

Whatever goes wrong is an `Unanswered`, with the server's own words where it had any. The answers'
sizes are capped and nothing of them is trusted.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx

from seekserve.errors import ConfigError, Unanswered
from seekserve.terminal.events import Event, Split, TooLong
from seekserve.terminal.inert import inert, line

MOST_BYTES = 16 << 20
MOST_WORDS = 2000
CONNECT_S = 10.0
PAGE_S = 15.0
WHOLE_S = 60.0  # a page that comes drop by drop comes never


@dataclass(frozen=True)
class Site:
    """Where a server is. `name` is what people call it; a `socket` is spoken to instead of `url`."""

    name: str
    url: str
    key: str | None = None
    socket: Path | None = None

    def client(self, silence_s: float) -> httpx.AsyncClient:
        headers = {"accept-encoding": "identity", "user-agent": "seekserve"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        door = httpx.AsyncHTTPTransport(uds=str(self.socket)) if self.socket else None
        return httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            transport=door,
            timeout=httpx.Timeout(silence_s, connect=CONNECT_S),
            trust_env=not self.near,
            verify=ssl.create_default_context(),
        )

    @property
    def near(self) -> bool:
        """On this machine: no proxy stands between."""
        host = httpx.URL(self.url).host
        try:
            return host == "localhost" or self.socket is not None or ip_address(host).is_loopback
        except ValueError:
            return False


def site(url: str, key: str | None = None) -> Site:
    """A server by what people write: with or without http://, /v1 or /console. Raises ConfigError."""
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(
            "The key holds characters that no HTTP header can carry.",
            "It must be one line of letters, digits, - and _.",
        )
    whole = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = httpx.URL(whole)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{line(url)} is no URL: {line(error)}.", _EXAMPLE) from error
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise ConfigError(f"{line(url)} is not of the form http://HOST:PORT.", _EXAMPLE)
    path = parts.path.rstrip("/").removesuffix("/v1").removesuffix("/console")
    base = str(parts.copy_with(path=path or "/", query=None, fragment=None)).rstrip("/")
    return Site(base, base, key)


_EXAMPLE = "Write it as http://127.0.0.1:8000."
_OPERATORS = (
    "Give a key of scope operator with --key-file FILE: seekserve keys add NAME --scope operator."
)


async def page(at: Site, path: str, silence_s: float = PAGE_S) -> Any:
    """The JSON of a page. Raises Unanswered."""
    async with at.client(silence_s) as client:
        with _told(at):
            async with asyncio.timeout(WHOLE_S), client.stream("GET", path) as answer:
                body = await _body(answer)
    if answer.status_code != 200:
        raise _refused(at, answer, body)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unanswered(
            f"{at.name}{path} is no JSON: this is no server of ours.", _EXAMPLE
        ) from error


@asynccontextmanager
async def stream(
    at: Site, path: str, silence_s: float, body: Mapping[str, Any] | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events that a GET answers with, or a POST of `body`. Leaving closes the connection, which is
    how the server hears of it. Raises Unanswered.
    """
    async with at.client(silence_s) as client:
        method = "GET" if body is None else "POST"
        with _told(at):
            async with client.stream(method, path, json=body) as answer:
                kind = answer.headers.get("content-type", "")
                if answer.status_code != 200 or "text/event-stream" not in kind:
                    raise _refused(at, answer, await _body(answer))
                yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    split = Split()
    async for data in answer.aiter_raw():
        for event in split.feed(data):
            yield event


async def _body(answer: httpx.Response) -> bytes:
    """As it came: nothing here asks for compression, and what unpacks can grow."""
    body = bytearray()
    async for data in answer.aiter_raw():
        body += data
        if len(body) > MOST_BYTES:
            raise TooLong
    return bytes(body)


@contextmanager
def _told(at: Site) -> Iterator[None]:
    """What the network does, as a sentence."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        todo = "Is it started (seekserve serve), and is this its address?"
        if "CERTIFICATE" in str(error):
            todo = "Trust its certificate (SSL_CERT_FILE names a file with its authority's)."
        raise Unanswered(f"Nothing answers at {at.name}: {_why(error)}.", todo) from error
    except (httpx.ReadTimeout, TimeoutError) as error:
        raise Unanswered(
            f"{at.name} has been silent for too long.", "Ask again; see its log."
        ) from error
    except httpx.HTTPError as error:
        raise Unanswered(
            f"The connection to {at.name} broke: {_why(error)}.", "Ask again."
        ) from error
    except TooLong as error:
        raise Unanswered(f"{at.name} answers with more than anybody reads.", _EXAMPLE) from error


def _why(error: BaseException) -> str:
    """In the system's words where it said any."""
    told, cause = line(error), error.__cause__ or error.__context__
    while cause:
        told = getattr(cause, "strerror", None) or told
        if isinstance(cause, ConnectionError) and cause.errno:
            told = os.strerror(cause.errno)  # asyncio has words of its own for it
        cause = cause.__cause__ or cause.__context__
    return line(told) or type(error).__name__


def _refused(at: Site, answer: httpx.Response, body: bytes) -> Unanswered:
    """The server's own words, and what to do where it did not say."""
    told = refusal(body)
    if told is None:
        kind = answer.headers.get("content-type", "nothing").partition(";")[0]
        words = f"{at.name} answered {answer.status_code} with {line(kind, 60)}: no server of ours, it seems."
        return Unanswered(words, _EXAMPLE)
    message, todo = (words.replace(at.key, "...") if at.key else words for words in told)
    if answer.status_code == 401 and answer.url.path.startswith("/console"):
        todo = _OPERATORS  # the server speaks to whoever sits at its page
    if not todo and answer.status_code in (401, 403):
        todo = "A key comes from its operator; give it in a file, with --key-file FILE."
    if wait := answer.headers.get("retry-after"):
        todo = todo or f"Try again in {line(wait, 20)} s."
    return Unanswered(message, todo, answer.status_code)


def refusal(body: bytes | str) -> tuple[str, str] | None:
    """Message and todo of an error's envelope, safe to show."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = told.get("error") if isinstance(told, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    return inert(error["message"][:MOST_WORDS]), inert(str(error.get("todo") or "")[:MOST_WORDS])

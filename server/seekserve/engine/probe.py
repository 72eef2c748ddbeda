"""Asking an engine how it is: does it answer, which models has it, what do its gauges say.

Off the hot path, so plain httpx. Every answer is distrusted: sizes are capped, shapes are checked,
and whatever goes wrong is a `None` or an empty page, never an exception.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Self

import httpx

from seekserve.engine.address import Address
from seekserve.manner import UNKNOWN, Manner

MAX_PAGE = 8 * 1024 * 1024
UNREACHABLE = "nothing answers there"
SHUT = "it wants a key: set SEEKSERVE_ENGINE_API_KEY"
REFUSED = "it does not take the key in SEEKSERVE_ENGINE_API_KEY: set the engine's own"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Engines speak plain HTTP. httpx would read the machine's certificates for each client, 20 ms a time;
this trusts none.
"""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as its engine lists it. `max_model_len` is in tokens, where the engine says; `root` is
    the checkpoint behind the name; `manner` is what our catalog knows of it.
    """

    id: str
    max_model_len: int | None = None
    created: int | None = None
    root: str = ""
    manner: Manner = UNKNOWN


class Probe:
    """One engine's side doors: /health, /v1/models, /metrics. `trouble` is why `models` gave None."""

    def __init__(self, address: Address, key: str | None = None, timeout_s: float = 2.0) -> None:
        fresh = httpx.Limits(max_keepalive_connections=0)  # a kept connection outlives its socket
        transport = httpx.AsyncHTTPTransport(uds=address.path or None, verify=PLAIN, limits=fresh)
        self._timeout_s = 2 * timeout_s  # of which a part may dribble
        base = f"http://{address.authority}{address.base}"
        self._client = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            timeout=timeout_s,
            trust_env=False,
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )
        self.trouble = ""
        self._shut = REFUSED if key else SHUT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._client.aclose()

    async def alive(self) -> bool:
        """Whether the engine's own health route is green; one that has no such route may pass."""
        page = await self._get("/health")
        return page is not None and page.status_code in (200, 404, 405)

    async def models(self) -> tuple[ModelCard, ...] | None:
        """What it serves, or None while it does not answer as an engine would."""
        page = await self._get("/v1/models")
        if page is None:
            self.trouble = UNREACHABLE
        elif page.status_code in (401, 403):
            self.trouble = self._shut
        elif page.status_code != 200:
            self.trouble = f"its /v1/models answers {page.status_code}"
        else:
            return self._listed(page)
        return None

    def _listed(self, page: httpx.Response) -> tuple[ModelCard, ...] | None:
        try:
            listed = page.json()["data"]
            cards = tuple(card for item in listed if (card := _card(item)))
        except (ValueError, KeyError, TypeError, RecursionError):
            cards = ()
        self.trouble = "" if cards else "its /v1/models lists no models"
        return cards or None

    async def prove(self, model: str, within_s: float) -> str:
        """Asks for one token. "" when it answers as an engine does, else what it did instead."""
        asked = {"model": model, "prompt": "1", "max_tokens": 1, "temperature": 0}
        try:
            async with asyncio.timeout(within_s):
                page = await self._page("POST", "/v1/completions", json=asked, timeout=within_s)
        except (TimeoutError, httpx.TimeoutException):
            return f"it did not answer within {within_s:.0f} s"
        except (httpx.HTTPError, OSError) as error:
            return f"the connection broke ({type(error).__name__})"
        return _wrong(page) if page else f"it answered with more than {MAX_PAGE >> 20} MiB"

    async def metrics(self) -> str:
        """The engine's Prometheus page, or "" when it has none."""
        page = await self._get("/metrics")
        if page is None or page.status_code != 200:
            return ""
        return page.content.decode(errors="replace")  # whatever charset it claims to be in

    async def _get(self, path: str) -> httpx.Response | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._page("GET", path)
        except (httpx.HTTPError, OSError, TimeoutError):
            return None

    async def _page(self, method: str, path: str, **how: Any) -> httpx.Response | None:
        """None where it is larger than MAX_PAGE. Raises what httpx does."""
        body = bytearray()
        async with self._client.stream(method, path, **how) as page:
            async for part in page.aiter_bytes():
                body += part
                if len(body) > MAX_PAGE:
                    return None
        kind = page.headers.get("content-type", "no content type").encode("ascii", "replace")
        headers = {b"content-type": kind}
        return httpx.Response(page.status_code, headers=headers, content=bytes(body))


def _wrong(page: httpx.Response) -> str:
    """A refusal is an answer too: it may be busy, or of a kind that makes no tokens."""
    kind = page.headers["content-type"].partition(";")[0][:60]
    if page.is_redirect:
        return f"it sends elsewhere, with status {page.status_code}"
    if not page.is_success and page.status_code not in (500, 502, 504):
        return ""
    if page.status_code != 200:
        return f"it failed with status {page.status_code}"
    try:
        told = page.json()
    except (ValueError, RecursionError):
        return f"it answered with {kind} that is not JSON"
    choices = told.get("choices") if isinstance(told, dict) else None
    return "" if choices else "it answered with JSON that holds no choices"


def _card(item: Any) -> ModelCard | None:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not item["id"]:
        return None
    root = item.get("root")
    return ModelCard(
        item["id"],
        _whole(item.get("max_model_len")),
        _whole(item.get("created")),
        root if isinstance(root, str) else "",
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

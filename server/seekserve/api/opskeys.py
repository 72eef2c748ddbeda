"""Keys over the ops socket: what `seekserve keys` does, for programs. In force when it is answered.

The file is changed under its own lock, so both ways may be used at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from seekserve.complaints import complaints
from seekserve.errors import ClientLeft, ConfigError, StartError, UnknownName
from seekserve.gateway import keychanges, keyfile
from seekserve.gateway.keychanges import Keys
from seekserve.gateway.keys import Key, Scope, mint, new_id
from seekserve.gateway.record import trace_of
from seekserve.keypages import plain
from seekserve.log import Log
from seekserve.settings import Frozen

MOST_BYTES = 64 * 1024


class NewKey(Frozen):
    """Each limit as `seekserve keys add` has it; `expires` is `30d` or a day such as 2027-01-31."""

    name: str
    class_name: str = Field("", alias="class")
    scope: Scope = "client"
    models: tuple[str, ...] = ()
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    concurrency: int | None = None
    monthly_budget: float | None = None
    expires: str | None = None


class Change(Frozen):
    """What is given is changed, the rest stays; null takes a limit away."""

    class_name: str | None = Field(None, alias="class")
    scope: Scope | None = None
    models: tuple[str, ...] | None = None
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    concurrency: int | None = None
    monthly_budget: float | None = None
    expires: str | None = None


class Rotation(Frozen):
    grace: str = "1h"


Asked = TypeVar("Asked", NewKey, Change, Rotation)


class KeyDesk:
    """`reread` puts the file in force, so that a change holds from the answer on."""

    def __init__(self, path: Path, log: Log, reread: Callable[[], Awaitable[object]]) -> None:
        self._path, self._log, self._reread = path, log, reread

    async def listed(self, request: Request) -> Response:
        trace_of(request.scope).route = "ops"
        known = (await asyncio.to_thread(keyfile.read, self._path)).keys
        now = datetime.now(UTC)
        return JSONResponse({"keys": [plain(key, now) for key in known]})

    async def add(self, request: Request) -> Response:
        asked, now = await _read(request, NewKey), datetime.now(UTC)
        shown: list[str] = []

        def added(known: Keys) -> Keys:
            keychanges.untaken(known, asked.name)
            text, key = _minted(asked, known, now)
            shown.append(text)
            return (*known, key)

        return await self._changed("add", asked.name, added, shown, 201)

    async def change(self, request: Request) -> Response:
        sent, now = await _read(request, Change), datetime.now(UTC)
        name, asked = request.path_params["name"], sent.model_dump(exclude_unset=True)
        if "expires" in asked:
            asked["expires_at"] = _expiry(asked.pop("expires"), now)

        def changed(known: Keys) -> Keys:
            try:
                return keychanges.changed(known, name, asked, now)
            except ValidationError as error:
                raise _unfit(error) from error

        return await self._changed("change", name, changed, [])

    async def rotate(self, request: Request) -> Response:
        asked, now = await _read(request, Rotation), datetime.now(UTC)
        name, grace = request.path_params["name"], keychanges.lasting("grace", asked.grace)
        shown: list[str] = []

        def rotated(known: Keys) -> Keys:
            text, secret = mint(keychanges.named(known, name).id)
            shown.append(text)
            return keychanges.rotated(known, name, secret, grace, now)

        return await self._changed("rotate", name, rotated, shown)

    async def revoke(self, request: Request) -> Response:
        trace_of(request.scope).route = "ops"
        name, now = request.path_params["name"], datetime.now(UTC)
        return await self._changed(
            "revoke", name, lambda known: keychanges.revoked(known, name, now), []
        )

    async def _changed(
        self,
        action: str,
        name: str,
        change: Callable[[Keys], Keys],
        shown: list[str],
        status: int = 200,
    ) -> Response:
        """`shown` holds the new key's text once the change is made, where there is one."""
        await asyncio.to_thread(keyfile.edit, self._path, change)
        await self._reread()
        self._log.event("ops", action=f"keys {action}", of=name)
        known = (await asyncio.to_thread(keyfile.read, self._path)).keys
        told: dict[str, Any] = plain(keychanges.named(known, name), datetime.now(UTC))
        return JSONResponse(told | ({"key": shown[-1]} if shown else {}), status)


def _minted(asked: NewKey, known: Keys, now: datetime) -> tuple[str, Key]:
    id_ = new_id({key.id for key in known})
    text, secret = mint(id_)
    told = asked.model_dump(exclude={"expires"})
    ends = {"created_at": now, "expires_at": _expiry(asked.expires or None, now)}
    rest = {"id": id_, "secrets": (secret,), **ends}
    try:
        return text, Key.model_validate(told | rest)
    except ValidationError as error:
        raise _unfit(error) from error


def _expiry(told: str | None, now: datetime) -> datetime | None:
    return keychanges.expiry("expires", told, now) if told is not None else None


async def _read(request: Request, schema: type[Asked]) -> Asked:
    """The body; none at all is one that says nothing. Raises ConfigError."""
    trace_of(request.scope).route = "ops"
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise ConfigError(
                    f"The body is over {MOST_BYTES >> 10} KiB.", "Send a shorter one."
                )
    except ClientDisconnect as error:
        raise ClientLeft("The client hung up while it was sending.") from error
    try:
        return schema.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _unfit(error) from error


def _unfit(error: ValidationError) -> ConfigError:
    return ConfigError(
        f"What was sent does not fit:\n{complaints(error)}",
        "seekserve keys add --help says what each is.",
    )


async def unwilling(request: Request, error: Exception) -> Response:
    """What cannot be done as things are, in the words a verb would print. They may quote what was sent,
    which need not be text that can be encoded.
    """
    assert isinstance(error, StartError)
    body = json.dumps(error.told(), ensure_ascii=False).encode(errors="replace")
    status = 404 if isinstance(error, UnknownName) else 422
    return Response(body, status, media_type="application/json")

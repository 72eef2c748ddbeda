"""Keys, and the ring of them that is let in. Pure: time is an argument, nothing is read or written.

A key reads `sk-seek-ID-SECRET`: twelve hex digits that name it, and 256 random bits. Only the SHA-256
of the whole is kept, which is enough for what no person chose. How that digest begins, which nobody can
choose, finds the one key that may match in a dict, so that a check costs the same with one key and with
ten thousand; what is then compared, whole and in constant time, is its digest, else a dummy's.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from seekserve.config import hash_key
from seekserve.settings import Frozen

PREFIX = "sk-seek-"
ID_DIGITS = 12
COMMAND_LINE = "api-key"
"""The name of the key that --api-key gives."""

Door = Literal["closed", "local", "anyone"]
"""Without a key: nobody is let in, or this machine's own programs, or everybody who can reach it."""

Scope = Literal["client", "operator"]
"""Of a key: an operator's opens the Console too, and may change there what can be changed."""

MOST = 10**12
Limit = Annotated[int, Field(gt=0, le=MOST)]


class Secret(Frozen):
    """What is kept of a key's text: its digest. `until` is when a later one has replaced it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    until: AwareDatetime | None = None


class Key(Frozen):
    """One client. Secrets come newest first. What is None, or empty, is not limited.

    `class_name` is empty for the default class of the tier that serves. `monthly_budget` is in the
    currency of the tier's prices.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1)]
    class_name: Annotated[str, Field(max_length=64)] = ""
    scope: Scope = "client"
    models: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()
    requests_per_min: Limit | None = None
    tokens_per_min: Limit | None = None
    concurrency: Limit | None = None
    monthly_budget: Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)] | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "active"

    def may_use(self, *names: str) -> bool:
        """Whether one of the names of a model is a name this key is for."""
        return not self.models or any(name in self.models for name in names)


class Found(NamedTuple):
    """A key that really is ours, and by which of its secrets; whether it still holds is not said."""

    key: Key
    secret: Secret


_DUMMY = Key(
    id="0" * ID_DIGITS,
    name="nobody",
    secrets=(Secret(sha256=secrets.token_hex(32)),),
    created_at=datetime.fromtimestamp(0, UTC),
)
MARK = 8  # bytes of a digest, by which it is found
_NOBODY = (secrets.token_bytes(32), Found(_DUMMY, _DUMMY.secrets[0]))


class Keyring:
    """Who is let in: immutable, swapped whole. `hashes` are of keys without an ID of ours, which are
    few (the command line's): every one of them is compared at every check.
    """

    def __init__(
        self, hashes: Collection[bytes] = (), keys: Collection[Key] = (), door: Door = "closed"
    ) -> None:
        self._plain = [(digest, _plain(digest)) for digest in hashes]
        self._keys = tuple(keys)
        self._minted: dict[bytes, tuple[bytes, Found]] = {}
        for key in keys:
            for secret in key.secrets:
                digest = bytes.fromhex(secret.sha256)
                self._minted[digest[:MARK]] = (digest, Found(key, secret))
        self.door = door

    def __len__(self) -> int:
        return len(self._plain) + len(self._keys)

    def __repr__(self) -> str:
        return f"<Keyring {len(self)} keys>"

    @property
    def keys(self) -> Collection[Key]:
        """Those that were minted here."""
        return self._keys

    def find(self, presented: str) -> Found | None:
        """The key with this text. It is looked up by what its digest begins with, which nobody can choose:
        a text that is right but for its end is as far off as any. No comparison ends early, nor is one
        left out after a hit.
        """
        digest = hash_key(presented)
        found = None
        for known, plain in self._plain:
            if hmac.compare_digest(digest, known):
                found = plain
        known, minted = self._minted.get(digest[:MARK], _NOBODY)
        return minted if hmac.compare_digest(digest, known) else found


def mint(id_: str) -> tuple[str, Secret]:
    """A new text for the key of this ID, to be shown once, and what is kept of it."""
    text = f"{PREFIX}{id_}-{secrets.token_urlsafe(32)}"
    return text, Secret(sha256=hash_key(text).hex())


def new_id(taken: Collection[str]) -> str:
    while (id_ := secrets.token_hex(ID_DIGITS // 2)) in taken or id_ == _DUMMY.id:
        pass
    return id_


def _plain(digest: bytes) -> Found:
    secret = Secret(sha256=digest.hex())
    return Found(_DUMMY.model_copy(update={"name": COMMAND_LINE, "secrets": (secret,)}), secret)

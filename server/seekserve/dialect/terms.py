"""On what terms a request is served: the tier's settings, and what its model is. A value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import Alias, Defaults, Dialect, Limits


@dataclass(frozen=True, slots=True)
class Terms:
    """`window` (tokens) is the most that prompt and answer may have together, where it is known;
    `alias` is what the name the client used stands for; `tenant` names whose request it is, so that
    two tenants' users of one name are two.
    """

    defaults: Defaults = field(default_factory=Defaults)
    limits: Limits = field(default_factory=Limits)
    dialect: Dialect = field(default_factory=Dialect)
    window: int | None = None
    manner: Manner = UNKNOWN
    alias: Alias = field(default_factory=Alias)
    tenant: str = ""

    def salt(self, user_id: str) -> str:
        """What keeps this user's part of the engine's prefix cache apart. vLLM takes up to 128 characters."""
        return hashlib.sha256(f"{self.tenant}\0{user_id}".encode(errors="replace")).hexdigest()[:32]

    def at_most(self, tokens: int) -> int:
        """vLLM refuses a larger number than the window instead of giving what there is."""
        return min(tokens, self.window or tokens)

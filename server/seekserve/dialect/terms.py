"""On what terms a request is served: the tier's settings, and what its model is. A value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import Alias, Defaults, Dialect, Limits


@dataclass(frozen=True, slots=True)
class Terms:
    """`window` (tokens) is the most that prompt and answer may have together, where it is known;
    `alias` is what the name the client used stands for; `tenant` names whose request it is, so that
    two tenants' users of one name are two; `priority` (0 first) is for engines that schedule by it.
    """

    defaults: Defaults = field(default_factory=Defaults)
    limits: Limits = field(default_factory=Limits)
    dialect: Dialect = field(default_factory=Dialect)
    window: int | None = None
    manner: Manner = UNKNOWN
    alias: Alias = field(default_factory=Alias)
    tenant: str = ""
    priority: int | None = None

    def salt(self, user_id: str) -> str:
        """What keeps this user's part of the engine's prefix cache apart. vLLM takes up to 128 characters."""
        return hashlib.sha256(f"{self.tenant}\0{user_id}".encode(errors="replace")).hexdigest()[:32]

    def own_fields(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of the engine's private fields this request gets, from us.

        Tenants never share a prefix cache: its hits tell what others have asked.
        """
        user = given.get("user_id") or ""
        salt = {"cache_salt": self.salt(user)} if user or self.tenant else {}
        return salt if self.priority is None else salt | {"priority": self.priority}

    def at_most(self, tokens: int) -> int:
        """vLLM refuses a larger number than the window instead of giving what there is."""
        return min(tokens, self.window or tokens, self.limits.max_tokens or tokens)

    def think_at_most(self, tokens: int | None = None) -> int | None:
        """A budget of thinking (below 0: none) within the cap, where the engine keeps such a budget."""
        if not self.manner.budget:
            return tokens
        caps = [cap for cap in (tokens, self.limits.thinking_tokens) if cap is not None]
        return min((cap for cap in caps if cap >= 0), default=None)

"""What a client calls a model -> the model there is, and the terms on which it is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from starlette.requests import Request

from seekserve.dialect.terms import Terms
from seekserve.engine.fleet import Fleet
from seekserve.gateway.trace import trace_of
from seekserve.settings import Alias, Tier


@dataclass(frozen=True, slots=True)
class Named:
    """`model` is the engine's own name for it."""

    model: str
    terms: Terms


class Names:
    """Engines' own names come first; then the tier's aliases, and `claude` patterns where asked for."""

    def __init__(self, fleet: Fleet, tier: Tier) -> None:
        self._fleet, self._tier = fleet, tier

    def find(self, request: Request, name: str, anthropic: bool = False) -> Named:
        """Raises NotFound for a name that no engine serves and no alias stands for."""
        alias = self._alias(name, anthropic)
        model = self._stands_for(name, alias)
        card = self._fleet.card(model)
        trace_of(request.scope).model = card.id if card else ""
        terms = Terms(
            self._tier.defaults, self._tier.limits, self._tier.dialect, alias=alias or Alias()
        )
        if card is None:
            return Named(model, terms)
        return Named(model, replace(terms, window=card.max_model_len, manner=card.manner))

    def aliases(self) -> dict[str, str]:
        """The names there are beside the engines' own -> the models they stand for."""
        known = self._fleet.cards()
        told = {name: self._stands_for(name, a) for name, a in self._tier.dialect.aliases.items()}
        return {name: model for name, model in told.items() if name not in known and model in known}

    def _alias(self, name: str, anthropic: bool) -> Alias | None:
        if name in self._fleet.cards():
            return None
        if found := self._tier.dialect.aliases.get(name):
            return found
        patterns = self._tier.dialect.claude.items() if anthropic else ()
        return next((Alias(model=m) for pattern, m in patterns if fnmatchcase(name, pattern)), None)

    def _stands_for(self, name: str, alias: Alias | None) -> str:
        """An alias without a model means the first there is; before there is one, the name stays."""
        if alias is None:
            return name
        return alias.model or next(iter(self._fleet.cards()), name)

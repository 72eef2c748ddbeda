"""What a client calls a model -> the model there is, and the terms on which it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request

from seekserve.dialect.terms import Terms
from seekserve.engine.fleet import Fleet
from seekserve.errors import Forbidden
from seekserve.gateway.ask import Accent, Ask, Steps, encoded
from seekserve.gateway.keys import Key
from seekserve.gateway.record import trace_of
from seekserve.settings import Alias, Tier

PLAIN = Alias()


@dataclass(frozen=True, slots=True)
class Named:
    """`model` is the engine's own name for it."""

    model: str
    terms: Terms


class Names:
    """Engines' own names come first; then the tier's aliases, and `claude` patterns where asked for."""

    def __init__(self, fleet: Fleet, tier: Tier) -> None:
        self._fleet, self._tier = fleet, tier
        self._terms = {name: self._terms_of(name) for name in ("", *tier.classes)}

    def find(self, request: Request, name: str, anthropic: bool = False) -> Named:
        """Raises NotFound for a name that no engine serves and no alias stands for, and Forbidden for
        one that the request's key is not for.
        """
        alias = self._alias(name, anthropic)
        model = self._stands_for(name, alias)
        permit(request, name, model)
        card = self._fleet.card(model, self.aliases)
        trace = trace_of(request.scope)
        trace.model = card.id if card else ""
        terms = replace(self._terms[trace.key_class], alias=alias or PLAIN, tenant=trace.key)
        if card is None:
            return Named(model, terms)
        if not card.manner.priority:
            terms = replace(terms, priority=None)
        return Named(model, replace(terms, window=card.max_model_len, manner=card.manner))

    def _terms_of(self, key_class: str) -> Terms:
        """As the tier has them for a class, whose place in the list is its priority: the first is 0."""
        tier, classes = self._tier, list(self._tier.classes)
        own = tier.classes.get(key_class)
        caps = [
            limit for limit in (tier.limits.thinking_tokens, own and own.thinking_tokens) if limit
        ]
        limits = tier.limits.model_copy(update={"thinking_tokens": min(caps, default=None)})
        priority = classes.index(key_class) if own else len(classes)
        return Terms(tier.defaults, limits, tier.dialect, priority=priority)

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


def permitted(request: Request, name: str, model: str) -> bool:
    """Whether the request's key is for the model by either name; an open server's requests have none."""
    key: Key | None = request.scope.get("key")
    return key is None or key.may_use(name, model)


def permit(request: Request, name: str, model: str) -> None:
    """Raises Forbidden, which does not tell whether there is such a model."""
    if not permitted(request, name, model):
        mine = ", ".join(request.scope["key"].models)
        raise Forbidden(
            f"This API key may not use the model {name[:80]!r}. It may use: {mine}.",
            param="model",
            code="model_not_allowed",
        )


def ask(
    wanted: dict[str, Any],
    accent: Accent,
    stream: bool,
    show_usage: bool = True,
    steps: Callable[[], Steps] | None = None,
    aside: bool = False,
) -> Ask:
    """The engine's request, ready to go, and how large it is."""
    body, prompt = encoded(wanted), wanted.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
    sequences = (wanted.get("n") or 1) * prompts
    most = wanted.get("max_tokens", 1) * sequences
    sent = b"" if steps else body
    return Ask(
        wanted["model"], sent, stream, show_usage, accent, steps, aside, len(body), most, sequences
    )

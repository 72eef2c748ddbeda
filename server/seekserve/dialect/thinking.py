"""Whether a model thinks, how hard, and for how many tokens: a client's many ways to say it -> vLLM's.

In vLLM 0.32 any effort but none turns thinking on unless the template's two switches say otherwise
(chat_completion/protocol.py), so both are always said. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seekserve.dialect.fields import TEMPLATE_SWITCHES
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest

EFFORTS = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "high",
    "max": "max",
    "ultra": "max",
}
"""What clients call an effort -> what DeepSeek knows (DeepSeek's documented synonyms)."""


@dataclass(frozen=True, slots=True)
class Thought:
    """`on` None leaves it to the model's template. `effort` "" is the model's own. `budget` in tokens."""

    on: bool | None
    effort: str = ""
    budget: int | None = None


def thought(given: Mapping[str, Any], terms: Terms) -> Thought:
    """What a checked request asks for, on these terms. Raises BadRequest, in strict mode also where
    the model cannot do as it is told.
    """
    on = _possible(_said(given), terms)
    effort = EFFORTS.get(given.get("reasoning_effort") or terms.alias.effort or "", "")
    effort = "" if effort == "none" or on is False else effort
    return Thought(on, effort, None if on is False else _budget(given, terms, effort))


def _said(given: Mapping[str, Any]) -> bool | None:
    """The client's own word: `thinking.type`, else the template switch, else the effort."""
    switches = given.get("chat_template_kwargs") or {}
    if unknown := set(switches) - TEMPLATE_SWITCHES:
        raise BadRequest(
            f"chat_template_kwargs may only hold thinking and enable_thinking, not "
            f"{sorted(unknown)[0][:40]!r}.",
            param="chat_template_kwargs",
            code="unsupported_parameter",
        )
    if (switch := given.get("thinking")) is not None:
        return bool(switch["type"] == "enabled")
    if said := [bool(value) for value in switches.values() if value is not None]:
        return any(said)
    if effort := given.get("reasoning_effort"):
        return EFFORTS[effort] != "none"
    return None


def _preset(terms: Terms) -> bool | None:
    """What the name stands for (an effort is one of thinking), else the tier's default."""
    alias = terms.alias
    words = {"enabled": True, "disabled": False}
    return words.get(alias.thinking or ("enabled" if alias.effort else terms.defaults.thinking))


def _possible(asked: bool | None, terms: Terms) -> bool | None:
    """What the model will do. Some always think and some never: lenient, that is simply what happens."""
    fixed = {"always": True, "never": False}.get(terms.manner.thinking)
    if fixed is None:
        return _preset(terms) if asked is None else asked
    if terms.dialect.strict and asked is (not fixed):
        raise BadRequest(
            f"This model ({terms.manner.family}) {terms.manner.thinking} thinks: "
            f"thinking cannot be {'enabled' if asked else 'disabled'}.",
            param="thinking",
            code="unsupported_parameter",
        )
    return fixed


def _budget(given: Mapping[str, Any], terms: Terms, effort: str) -> int | None:
    """Tokens: as asked, else as the effort stands for where the template has no levels of its own;
    never above the tier's cap.
    """
    switch = given.get("thinking") or {}
    wanted = switch.get("budget_tokens")
    wanted = given.get("thinking_token_budget") if wanted is None else wanted
    if wanted is None and terms.manner.budget and not terms.manner.effort:
        wanted = {str(k): v for k, v in terms.defaults.effort_budgets.items()}.get(effort)
    return terms.think_at_most(wanted)


def template_kwargs(thinks: Thought) -> dict[str, bool]:
    on = thinks.on
    return {} if on is None else {"thinking": on, "enable_thinking": on}

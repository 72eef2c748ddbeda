"""Whether a model thinks, how hard and how long: every way to say it, for every kind of model."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect.chat import to_engine
from seekserve.dialect.terms import Terms
from seekserve.dialect.thinking import EFFORTS, Thought, template_kwargs, thought
from seekserve.errors import BadRequest
from seekserve.manner import UNKNOWN, Manner
from seekserve.settings import Alias, Defaults, Dialect, Limits

KINDS = ("hybrid", "always", "never", "unknown")
ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
WAYS: list[tuple[dict[str, Any], bool | None]] = [
    (ON, True),
    (OFF, False),
    *[({"reasoning_effort": word}, meant != "none") for word, meant in EFFORTS.items()],
    ({"chat_template_kwargs": {"thinking": True}}, True),
    ({"chat_template_kwargs": {"thinking": False}}, False),
    ({"chat_template_kwargs": {"enable_thinking": True}}, True),
    ({"chat_template_kwargs": {"enable_thinking": False}}, False),
    ({"chat_template_kwargs": {"thinking": False, "enable_thinking": True}}, True),
    (OFF | {"reasoning_effort": "max"}, False),
    (OFF | {"chat_template_kwargs": {"thinking": True}}, False),
    (ON | {"reasoning_effort": "none"}, True),
    ({"chat_template_kwargs": {"thinking": False}, "reasoning_effort": "max"}, False),
    ({}, None),
    ({"thinking": None, "reasoning_effort": None, "chat_template_kwargs": None}, None),
    ({"chat_template_kwargs": {"thinking": None}}, None),
]
"""What a client says -> what it wants; None where it does not say."""

PRESETS: list[tuple[Alias, Any, bool | None]] = [
    (Alias(), "enabled", True),
    (Alias(), "disabled", False),
    (Alias(), "engine", None),
    (Alias(thinking="enabled"), "disabled", True),
    (Alias(thinking="disabled"), "enabled", False),
    (Alias(effort="max"), "disabled", True),
    (Alias(effort="max"), "engine", True),
    (Alias(thinking="disabled", effort="max"), "enabled", False),
]
"""What a name and a tier stand for -> what holds where the client does not say."""


def terms(kind: Any = "unknown", default: Any = "enabled", strict: bool = False) -> Terms:
    manner = UNKNOWN if kind == "unknown" else Manner("f", thinking=kind)
    return Terms(Defaults(thinking=default), dialect=Dialect(strict=strict), manner=manner)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("given", "wanted"), WAYS)
@pytest.mark.parametrize(("alias", "default", "preset"), PRESETS)
def test_who_decides(
    kind: Any, given: dict[str, Any], wanted: bool | None, alias: Alias, default: Any, preset: Any
) -> None:
    manner = Manner("f" if kind != "unknown" else "", thinking=kind)
    on = thought(given, Terms(Defaults(thinking=default), manner=manner, alias=alias)).on
    if kind in ("always", "never"):
        assert on is (kind == "always")
    else:
        assert on is (preset if wanted is None else wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("given", "wanted"), WAYS)
@pytest.mark.parametrize("default", ["enabled", "disabled", "engine"])
def test_strict_refuses_what_the_client_cannot_have(
    kind: Any, given: dict[str, Any], wanted: bool | None, default: Any
) -> None:
    """What the tier presets is nothing that a client said."""
    wrong = {"always": False, "never": True}.get(kind, "nothing")
    if wanted is not wrong:
        thought(given, terms(kind, default, strict=True))
        return
    with pytest.raises(BadRequest) as refused:
        thought(given, terms(kind, default, strict=True))
    assert (refused.value.param, refused.value.code) == ("thinking", "unsupported_parameter")
    assert kind in refused.value.message and "(f)" in refused.value.message


@pytest.mark.parametrize(
    ("given", "alias", "effort"),
    [
        *[({"reasoning_effort": w}, None, "" if e == "none" else e) for w, e in EFFORTS.items()],
        ({}, "low", "low"),
        ({"reasoning_effort": "ultra"}, "low", "max"),
        ({"reasoning_effort": "none"}, "max", ""),
        (OFF, "max", ""),
        (ON | {"reasoning_effort": "none"}, "max", ""),
        ({}, None, ""),
    ],
)
def test_effort(given: dict[str, Any], alias: Any, effort: str) -> None:
    assert thought(given, Terms(alias=Alias(effort=alias))).effort == effort


def test_both_switches_are_said_or_neither() -> None:
    assert template_kwargs(Thought(None)) == {}
    for on in (True, False):
        assert template_kwargs(Thought(on)) == {"thinking": on, "enable_thinking": on}


def test_no_other_template_variable() -> None:
    for given in ({}, ON, {"reasoning_effort": "max"}):
        with pytest.raises(BadRequest, match="'tools'"):
            thought(given | {"chat_template_kwargs": {"tools": [], "thinking": True}}, Terms())


KEEPS = Manner("f", thinking="hybrid", effort=False, budget=True)
"""A model whose engine ends the thinking, and whose template knows no effort."""
LEVELS = Manner("f", thinking="hybrid", effort=True, budget=True)
CAP = Limits(thinking_tokens=100)


def asked(budget: int | None) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("given", "manner", "limits", "budget"),
    [
        (asked(7), KEEPS, Limits(), 7),
        (asked(0), KEEPS, Limits(), 0),
        (asked(0) | {"thinking_token_budget": 9}, KEEPS, Limits(), 0),
        (asked(7) | {"thinking_token_budget": 9}, KEEPS, Limits(), 7),
        (asked(None) | {"thinking_token_budget": 9}, KEEPS, Limits(), 9),
        ({"thinking_token_budget": 9}, KEEPS, Limits(), 9),
        ({"thinking_token_budget": -1}, KEEPS, Limits(), None),
        ({}, KEEPS, Limits(), None),
        # By effort, where the template has no levels of its own.
        ({"reasoning_effort": "low"}, KEEPS, Limits(), 20),
        ({"reasoning_effort": "minimal"}, KEEPS, Limits(), 20),
        ({"reasoning_effort": "max"}, KEEPS, Limits(), None),
        ({"reasoning_effort": "low"}, LEVELS, Limits(), None),
        (asked(7) | {"reasoning_effort": "low"}, KEEPS, Limits(), 7),
        # Never above the cap.
        (asked(7), KEEPS, CAP, 7),
        (asked(700), KEEPS, CAP, 100),
        ({"thinking_token_budget": -1}, KEEPS, CAP, 100),
        ({}, LEVELS, CAP, 100),
        ({"reasoning_effort": "low"}, KEEPS, CAP, 20),
        # Nothing to keep when it is off.
        (OFF | {"thinking_token_budget": 9}, KEEPS, CAP, None),
        ({"thinking": {"type": "disabled", "budget_tokens": 7}}, KEEPS, CAP, None),
        ({"reasoning_effort": "none", "thinking_token_budget": 9}, KEEPS, Limits(), None),
        # An engine not known to keep one has the last word.
        (asked(700), UNKNOWN, CAP, 700),
        ({"thinking_token_budget": -1}, UNKNOWN, CAP, -1),
        ({"reasoning_effort": "low"}, UNKNOWN, CAP, None),
        (OFF | {"thinking_token_budget": 9}, UNKNOWN, CAP, None),
    ],
)
def test_budget(given: Any, manner: Manner, limits: Limits, budget: int | None) -> None:
    defaults = Defaults(effort_budgets={"low": 20})
    on = Terms(defaults, limits, manner=manner)
    assert thought(given, on).budget == budget
    told = to_engine({"model": "m", "messages": [{"role": "user", "content": "x"}]} | given, on)
    assert told.get("thinking_token_budget") == budget
    assert ("thinking_token_budget" in told) is (budget is not None)


ROOM = Defaults(max_tokens=10, max_tokens_thinking=20, max_tokens_max_effort=30)


@pytest.mark.parametrize(
    ("given", "window", "most"),
    [
        (OFF, None, 10),
        (ON, None, 20),
        ({}, None, 20),
        ({"reasoning_effort": "none"}, None, 10),
        ({"reasoning_effort": "low"}, None, 20),
        ({"reasoning_effort": "xhigh"}, None, 20),
        ({"reasoning_effort": "max"}, None, 30),
        ({"reasoning_effort": "ultra"}, None, 30),
        (OFF | {"reasoning_effort": "max"}, None, 10),
        ({"reasoning_effort": "max"}, 15, 15),
        (OFF, 15, 10),
        ({"max_tokens": 40}, None, 40),
        ({"max_tokens": 40}, 15, 15),
        ({"max_completion_tokens": 12, "max_tokens": 40}, 15, 12),
    ],
)
def test_room_by_mode_and_effort(given: Any, window: int | None, most: int) -> None:
    message = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert to_engine(message | given, Terms(ROOM, window=window))["max_tokens"] == most


def test_room_where_the_model_decides() -> None:
    """One that never thinks has no use for more; of one left to its template nobody knows."""
    message = {"model": "m", "messages": [{"role": "user", "content": "x"}]} | ON
    never = Terms(ROOM, manner=Manner("f", thinking="never"))
    assert to_engine(message, never)["max_tokens"] == 10
    left = Terms(ROOM.model_copy(update={"thinking": "engine"}))
    told = to_engine(message | {"thinking": None}, left)
    assert told["max_tokens"] == 20
    assert "chat_template_kwargs" not in told

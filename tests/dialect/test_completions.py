"""Text completions, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect.completions import Completions, to_engine
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest
from seekserve.manner import Manner
from seekserve.settings import Defaults, Limits

DEFAULTS = Defaults(max_tokens=100, temperature=0.5, top_p=0.9)


def sent(max_model_len: int | None = None, **given: Any) -> dict[str, Any]:
    return to_engine({"model": "m", "prompt": "p"} | given, Terms(DEFAULTS, window=max_model_len))


def test_defaults_are_explicit() -> None:
    assert sent() == {
        "model": "m",
        "prompt": "p",
        "stream": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 100,
    }


def test_streams_always_count() -> None:
    asked = sent(stream=True, stream_options={"include_usage": False})
    assert asked["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("given", "window", "most"),
    [
        ({}, None, 100),
        ({"max_tokens": 7}, None, 7),
        ({"max_tokens": 999}, 50, 50),
        ({}, 50, 50),
        ({"max_tokens": None}, None, 100),
    ],
)
def test_max_tokens_is_bounded_by_the_window(given: Any, window: int | None, most: int) -> None:
    assert sent(window, **given)["max_tokens"] == most


def test_zero_temperature_is_a_choice() -> None:
    assert sent(temperature=0)["temperature"] == 0


def test_private_fields_are_refused_and_others_dropped() -> None:
    with pytest.raises(BadRequest):
        sent(prompt_embeds="x")
    assert "best_of" not in sent(best_of=1)
    assert sent(echo=True)["echo"] is True


def test_an_answer_holds_what_the_api_knows() -> None:
    choice = {"index": 0, "text": "t", "logprobs": None, "finish_reason": "stop", "token_ids": [1]}
    answer = Completions().answer({"id": "i", "choices": [choice], "kv_transfer_params": {}})
    assert answer["choices"] == [
        {k: choice[k] for k in ("index", "text", "logprobs", "finish_reason")}
    ]
    assert answer["object"] == "text_completion"
    assert "kv_transfer_params" not in answer
    assert answer["usage"]["prompt_cache_miss_tokens"] == 0


def test_events_pass_untouched() -> None:
    event = b'data: {"choices":[{"text":"\\"reasoning\\":"}]}\n\n'
    assert Completions().voice(True).events(event) == event


def filled(fim: Any, **given: Any) -> dict[str, Any]:
    terms = Terms(DEFAULTS, manner=Manner("f", fim=fim))
    return to_engine({"model": "m", "prompt": "p", "suffix": "s"} | given, terms)


def test_filling_in_by_the_engines_own_field() -> None:
    for terms in (Terms(DEFAULTS), Terms(DEFAULTS, manner=Manner("f", fim="field"))):
        told = to_engine({"model": "m", "prompt": "p", "suffix": "s"}, terms)
        assert (told["prompt"], told["suffix"]) == ("p", "s")


@pytest.mark.parametrize(("prompt", "suffix"), [("p", "s"), ("p", ""), ("a\nb ", " é")])
def test_filling_in_by_markers(prompt: str, suffix: str) -> None:
    told = filled("markers", prompt=prompt, suffix=suffix)
    assert told["prompt"] == f"<｜fim▁begin｜>{prompt}<｜fim▁hole｜>{suffix}<｜fim▁end｜>"
    assert "suffix" not in told


def test_a_model_that_cannot_fill_in() -> None:
    with pytest.raises(BadRequest) as refused:
        filled("no")
    assert (refused.value.param, refused.value.code) == ("suffix", "unsupported_parameter")
    assert "(f)" in refused.value.message
    assert filled("no", suffix=None)["prompt"] == "p"


@pytest.mark.parametrize("fim", ["field", "markers"])
@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"echo": False}, ""),
    ],
)
def test_what_does_not_go_with_a_suffix(fim: Any, given: dict[str, Any], param: str) -> None:
    if not param:
        assert filled(fim, **given)
        return
    with pytest.raises(BadRequest) as refused:
        filled(fim, **given)
    assert refused.value.param == param
    assert to_engine({"model": "m", "prompt": "p"} | given, Terms(DEFAULTS))


@pytest.mark.parametrize(
    ("given", "kept", "cap", "sent"),
    [
        (None, True, 100, 100),
        (7, True, 100, 7),
        (700, True, 100, 100),
        (-1, True, 100, 100),
        (-1, True, None, -1),
        (None, True, None, None),
        (700, False, 100, 700),
        (None, False, 100, None),
    ],
)
def test_thinking_is_bounded(given: Any, kept: bool, cap: Any, sent: int | None) -> None:
    manner = Manner("f", thinking="hybrid", effort=False, budget=kept)
    terms = Terms(DEFAULTS, Limits(thinking_tokens=cap), manner=manner)
    more = {"thinking_token_budget": given}
    told = to_engine({"model": "m", "prompt": "<think>"} | more, terms)
    assert told.get("thinking_token_budget") == sent
    assert ("thinking_token_budget" in told) is (sent is not None)


def test_users_have_their_own_part_of_the_cache() -> None:
    salts = {sent(user_id=user).get("cache_salt") for user in ("a", "b", "", None)}
    assert len(salts) == 3 and None in salts
    assert sent(user_id="a")["cache_salt"] == Terms().salt("a") != Terms(tenant="t").salt("a")

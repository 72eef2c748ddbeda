"""Text completions, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from seekserve.dialect.completions import Completions, to_engine
from seekserve.dialect.terms import Terms
from seekserve.errors import BadRequest
from seekserve.settings import Defaults

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

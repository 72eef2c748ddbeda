"""What DeepSeek's API has beyond OpenAI's, through OpenAI's SDK: begun answers, its names, budgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.asking import COUNT, OFF, SUM, ask, extra, user
from tests.e2e.server import KEY, MODEL, Served


@pytest.fixture
def beta(server: Served) -> Iterator[OpenAI]:
    base = f"{server.root}/beta"
    with OpenAI(base_url=base, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


def begun(beta: OpenAI, text: str, beginning: dict[str, str], **more: Any) -> Any:
    """The answer to `text` that goes on from `beginning`, a part of an assistant's message."""
    last: Any = {"role": "assistant", "content": "", "prefix": True} | beginning
    create: Any = beta.chat.completions.create  # which overload it is hides in `more`
    given = {"model": "deepseek-reasoner", "temperature": 0} | more
    return create(messages=[user(text), last], **given)


def test_a_begun_answer_is_gone_on_with(beta: OpenAI) -> None:
    answer = begun(beta, COUNT, {"content": "3, 4, 5,"}, model=MODEL, extra_body=OFF).choices[0]
    rest = answer.message.content.strip(" ,")
    assert rest == "6, 7, 8, 9"
    assert answer.finish_reason == "stop"
    assert extra(answer.message, "reasoning_content") is None


def test_a_begun_answer_streams(beta: OpenAI) -> None:
    stream = begun(beta, SUM, {"content": "17 + 25 ="}, model="deepseek-chat", stream=True)
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip() == "42"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def thought(beta: OpenAI) -> tuple[str, str]:
    """What the model thinks of the sum: the first half, and the rest."""
    answer = ask(beta, SUM, model="deepseek-reasoner", extra_body={})
    whole: str = extra(answer.choices[0].message, "reasoning_content")
    half = whole.index("Tens")
    return whole[:half], whole[half:]


def test_begun_reasoning_is_gone_on_with_and_then_answered(beta: OpenAI) -> None:
    first, rest = thought(beta)
    message = begun(beta, SUM, {"reasoning_content": first}).choices[0].message
    assert extra(message, "reasoning_content") == rest
    assert "42" in message.content


def test_begun_reasoning_streams_as_reasoning(beta: OpenAI) -> None:
    first, rest = thought(beta)
    order, reasoning, content = "", "", ""
    for chunk in begun(beta, SUM, {"reasoning_content": first}, stream=True):
        delta = chunk.choices[0].delta
        piece = extra(delta, "reasoning_content") or ""
        order += ("r" if piece else "") + ("c" if delta.content else "")
        reasoning, content = reasoning + piece, content + (delta.content or "")
    assert (reasoning, "42" in content) == (rest, True)
    assert "rc" in order and "cr" not in order


def test_an_answer_begun_after_its_reasoning_thinks_no_more(beta: OpenAI) -> None:
    beginning = {"reasoning_content": "".join(thought(beta)), "content": "17 + 25"}
    message = begun(beta, SUM, beginning).choices[0].message
    assert message.content.strip() == "= 42"
    assert extra(message, "reasoning_content") is None


def test_filling_in_is_refused_by_a_model_that_cannot(beta: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        beta.completions.create(model=MODEL, prompt="def add(", suffix="return a + b")
    assert caught.value.param == "suffix"
    assert "fill in the middle" in caught.value.message


def test_deepseeks_names_think_or_do_not(client: OpenAI) -> None:
    chat = ask(client, SUM, model="deepseek-chat", extra_body={})
    reasoner = ask(client, SUM, model="deepseek-reasoner", extra_body={})
    assert "42" in (chat.choices[0].message.content or "")
    assert "42" in (reasoner.choices[0].message.content or "")
    assert "reasoning_content" not in (chat.choices[0].message.model_extra or {})
    assert extra(reasoner.choices[0].message, "reasoning_content")


def test_deepseeks_names_are_listed(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {MODEL, "deepseek-chat", "deepseek-reasoner"} <= set(listed)
    assert extra(listed["deepseek-chat"], "alias_of") == MODEL
    assert extra(client.models.retrieve("deepseek-reasoner"), "alias_of") == MODEL


def test_a_budget_ends_the_reasoning(client: OpenAI) -> None:
    free = ask(client, SUM, model="deepseek-reasoner", extra_body={})
    thinking = {"type": "enabled", "budget_tokens": 5}
    cut = ask(client, SUM, extra_body={"thinking": thinking})
    assert reasoned(free) > 5
    assert reasoned(cut) == 5
    whole = extra(free.choices[0].message, "reasoning_content")
    assert whole.startswith(extra(cut.choices[0].message, "reasoning_content"))
    assert cut.choices[0].message.content
    assert cut.choices[0].finish_reason == "stop"


def reasoned(answer: Any) -> int:
    tokens: int = answer.usage.completion_tokens_details.reasoning_tokens
    return tokens

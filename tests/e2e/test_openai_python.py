"""The OpenAI SDK for Python against the demo tier: what a DeepSeek client expects to find."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI

from tests.e2e.asking import COUNT, OFF, ON, SUM, ask, extra, user
from tests.e2e.server import MODEL, Served


def test_thinking_on_gives_reasoning_and_an_answer(client: OpenAI) -> None:
    answer = ask(client, SUM, extra_body=ON)
    message = answer.choices[0].message
    assert extra(message, "reasoning_content")
    assert "42" in (message.content or "")
    assert answer.choices[0].finish_reason == "stop"


def test_thinking_is_on_by_default_as_in_deepseeks_api(client: OpenAI) -> None:
    assert extra(ask(client, SUM, extra_body={}).choices[0].message, "reasoning_content")


def test_thinking_off_leaves_no_trace_of_reasoning(client: OpenAI) -> None:
    message = ask(client, "What is the capital of France?").choices[0].message
    assert "Paris" in (message.content or "")
    assert not {"reasoning_content", "reasoning"} & set(message.model_extra or {})


def test_usage_in_deepseeks_words(client: OpenAI) -> None:
    usage = ask(client, SUM, extra_body=ON).usage
    assert usage is not None
    hit, miss = extra(usage, "prompt_cache_hit_tokens"), extra(usage, "prompt_cache_miss_tokens")
    assert usage.prompt_tokens == hit + miss > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens_details is not None
    reasoning = usage.completion_tokens_details.reasoning_tokens or 0
    assert 0 < reasoning < usage.completion_tokens


def test_stream_reasons_first_and_ends_with_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[user(SUM)],
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
        extra_body=ON,
    )
    kinds, content, usage, finish = [], "", None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            kinds += ["r"] if extra(choice.delta, "reasoning_content") else []
            kinds += ["c"] if choice.delta.content else []
            content += choice.delta.content or ""
    order = "".join(kinds)
    assert "rc" in order and "cr" not in order
    assert "42" in content
    assert finish == "stop"
    assert usage is not None and usage.completion_tokens > 10


def test_stream_without_include_usage_has_choices_in_every_chunk(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=[user("Hello")], stream=True, extra_body=OFF
    )
    chunks = list(stream)
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_and_whole_answer_agree(client: OpenAI) -> None:
    whole = ask(client, COUNT).choices[0].message.content
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[user(COUNT)],
        stream=True,
        temperature=0,
        extra_body=OFF,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole


def test_n_gives_as_many_answers(client: OpenAI) -> None:
    answer = ask(client, "Hello", n=2, temperature=1, seed=7)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.content for choice in answer.choices)


def test_n_in_a_stream_tells_answers_apart(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[user("Hello")],
        n=2,
        stream=True,
        extra_body=OFF,
    )
    assert {choice.index for chunk in stream for choice in chunk.choices} == {0, 1}


def test_stop_ends_before_the_string(client: OpenAI) -> None:
    answer = ask(client, COUNT, stop=["6"]).choices[0]
    assert answer.finish_reason == "stop"
    assert "5" in (answer.message.content or "") and "6" not in (answer.message.content or "")


def test_sixteen_stop_strings_as_deepseek_allows(client: OpenAI) -> None:
    stops = [f"never{i}" for i in range(15)] + ["6"]
    told = ask(client, COUNT, stop=stops).choices[0].message.content or ""
    assert "5" in told and "7" not in told


def test_max_tokens_cuts(client: OpenAI) -> None:
    answer = ask(client, COUNT, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.completion_tokens == 3


def test_logprobs(client: OpenAI) -> None:
    logprobs = (
        ask(client, "What is the capital of Italy?", logprobs=True, top_logprobs=3)
        .choices[0]
        .logprobs
    )
    assert logprobs is not None and logprobs.content
    assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in logprobs.content)


def test_a_seed_repeats_itself(client: OpenAI) -> None:
    texts = {
        ask(client, "Write a poem", temperature=1.5, seed=11).choices[0].message.content
        for _ in range(2)
    }
    assert len(texts) == 1


def test_text_completions(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="Hello", max_tokens=5, temperature=0)
    assert answer.object == "text_completion"
    assert answer.usage is not None and answer.usage.completion_tokens == 5
    stream = client.completions.create(
        model=MODEL, prompt="Hello", max_tokens=5, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text


def test_models(client: OpenAI) -> None:
    listed = client.models.list().data
    assert listed[0].id == MODEL
    assert client.models.retrieve(MODEL).created == listed[0].created > 0


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=[user("x")])
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert MODEL in caught.value.message
    assert caught.value.request_id


def test_too_long_a_prompt_says_the_numbers(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Q7 " * 3000)
    assert caught.value.code == "context_length_exceeded"
    assert "2048" in caught.value.message
    assert "Q7 Q7" not in caught.value.message


def test_more_tokens_than_the_window_is_what_there_is(client: OpenAI) -> None:
    assert ask(client, "Hello", max_tokens=100_000).choices[0].finish_reason == "stop"


def test_private_fields_of_the_engine_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Hello", extra_body={"cache_salt": "x"})
    assert caught.value.param == "cache_salt"


def test_a_wrong_key_is_refused(server: Served) -> None:
    with (
        OpenAI(base_url=server.base, api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()

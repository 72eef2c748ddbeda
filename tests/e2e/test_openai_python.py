"""The OpenAI SDK for Python against the demo tier: what a DeepSeek client expects to find."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tests.e2e.server import MODEL, Served

ON = {"thinking": {"type": "enabled"}}
OFF = {"thinking": {"type": "disabled"}}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def ask(client: OpenAI, text: str, **more: Any) -> ChatCompletion:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    more = {"temperature": 0, "max_tokens": 300, "extra_body": OFF} | more
    create: Any = (
        client.chat.completions.create
    )  # its overloads are told apart by what `more` hides
    answer: ChatCompletion = create(model=MODEL, messages=messages, **more)
    return answer


def extra(part: Any, name: str) -> Any:
    return (part.model_extra or {}).get(name)


def test_thinking_on_gives_reasoning_and_an_answer(client: OpenAI) -> None:
    answer = ask(client, "What is 17 + 25?", extra_body=ON)
    message = answer.choices[0].message
    assert extra(message, "reasoning_content")
    assert "42" in (message.content or "")
    assert answer.choices[0].finish_reason == "stop"


def test_thinking_is_on_by_default_as_in_deepseeks_api(client: OpenAI) -> None:
    assert extra(
        ask(client, "What is 17 + 25?", extra_body={}).choices[0].message, "reasoning_content"
    )


def test_thinking_off_leaves_no_trace_of_reasoning(client: OpenAI) -> None:
    message = ask(client, "What is the capital of France?").choices[0].message
    assert "Paris" in (message.content or "")
    assert not {"reasoning_content", "reasoning"} & set(message.model_extra or {})


def test_usage_in_deepseeks_words(client: OpenAI) -> None:
    usage = ask(client, "What is 17 + 25?", extra_body=ON).usage
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
        messages=[{"role": "user", "content": "What is 17 + 25?"}],
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
        model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True, extra_body=OFF
    )
    chunks = list(stream)
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_and_whole_answer_agree(client: OpenAI) -> None:
    whole = ask(client, "Count from 3 to 9").choices[0].message.content
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Count from 3 to 9"}],
        stream=True,
        temperature=0,
        extra_body=OFF,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole


@pytest.mark.parametrize("thinking", [ON, OFF])
def test_tools_round_trip(client: OpenAI, thinking: dict[str, Any]) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0, extra_body=thinking
    )
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls
    assert calls is not None and calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Oslo"}
    messages += [
        first.choices[0].message,
        {
            "role": "tool",
            "tool_call_id": calls[0].id,
            "content": '{"temperature": 7, "sky": "rain"}',
        },
    ]
    second = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0, extra_body=thinking
    )
    assert "7" in (second.choices[0].message.content or "")


def test_tool_call_streams_in_pieces(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Lima?"}],
        tools=[WEATHER],
        stream=True,
        temperature=0,
        extra_body=OFF,
    )
    name, arguments, finish = "", "", None
    for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or []:
            assert call.function is not None
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, json.loads(arguments), finish) == ("get_weather", {"city": "Lima"}, "tool_calls")


def test_a_named_tool_is_called(client: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = ask(client, "Tell me about Rome.", tools=[WEATHER], tool_choice=choice)
    calls = answer.choices[0].message.tool_calls
    assert calls and calls[0].type == "function" and calls[0].function.name == "get_weather"


def test_json_schema_is_kept(client: OpenAI) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    text = "Extract the name and age as JSON: Maria is 31 years old."
    answer = ask(client, text, response_format=schema).choices[0].message.content
    assert json.loads(answer or "") == {"name": "Maria", "age": 31}


def test_json_mode_is_json(client: OpenAI) -> None:
    text = "Extract the name and age as JSON: Maria is 31 years old."
    answer = ask(client, text, response_format={"type": "json_object"}).choices[0].message.content
    assert isinstance(json.loads(answer or ""), dict)


def test_n_gives_as_many_answers(client: OpenAI) -> None:
    answer = ask(client, "Hello", n=2, temperature=1, seed=7)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.content for choice in answer.choices)


def test_n_in_a_stream_tells_answers_apart(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Hello"}],
        n=2,
        stream=True,
        extra_body=OFF,
    )
    assert {choice.index for chunk in stream for choice in chunk.choices} == {0, 1}


def test_stop_ends_before_the_string(client: OpenAI) -> None:
    answer = ask(client, "Count from 3 to 9", stop=["6"]).choices[0]
    assert answer.finish_reason == "stop"
    assert "5" in (answer.message.content or "") and "6" not in (answer.message.content or "")


def test_sixteen_stop_strings_as_deepseek_allows(client: OpenAI) -> None:
    stops = [f"never{i}" for i in range(15)] + ["6"]
    assert "7" not in (
        ask(client, "Count from 3 to 9", stop=stops).choices[0].message.content or ""
    )


def test_max_tokens_cuts(client: OpenAI) -> None:
    answer = ask(client, "Count from 3 to 9", max_tokens=3)
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
    assert [model.id for model in listed] == [MODEL]
    assert client.models.retrieve(MODEL).created == listed[0].created > 0


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
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

"""Whatever a client asks: what reaches the engine means the same, and holds nothing but what is open."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seekserve.api import body
from seekserve.api.anthropic_schemas import CountTokensRequest, MessagesRequest
from seekserve.api.embeddings import EmbeddingsRequest
from seekserve.api.responses import ResponsesRequest
from seekserve.api.schemas import MOST, Body, ChatRequest, CompletionRequest
from seekserve.dialect import anthropic, chat, completions, embeddings, prefix, responses
from seekserve.dialect.fields import CHAT, COMPLETIONS, REFUSED
from seekserve.dialect.terms import Terms
from seekserve.errors import Refusal
from seekserve.gateway.ask import encoded
from seekserve.settings import Dialect
from tests.property.asking import (
    Json,
    anthropic_messages,
    anything,
    chat_messages,
    extras,
    meaning,
    responses_input,
    spoiled,
    turns,
)
from tests.property.rich import RICH

WINDOW = 4096
TERMS = Terms(window=WINDOW)
OURS = frozenset({"model", "stream", "stream_options", "cache_salt", "chat_template_kwargs"})
TOOLS = {
    "chat": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "responses": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    "anthropic": [{"name": "f", "input_schema": {"type": "object"}}],
}
KNOBS: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.none() | st.booleans(),
    "temperature": st.none() | st.floats(0, 2),
    "top_p": st.none() | st.floats(0.01, 1),
}
TOKENS = st.none() | st.integers(1, MOST)


def engine_request(
    schema: type[Body], to_engine: Callable[[Json, Terms], Json], asked: Any, terms: Terms = TERMS
) -> Json:
    """The way of a request's JSON to the engine's JSON."""
    parsed = body.parse(json.dumps(asked).encode(), schema)
    wanted = to_engine(parsed.model_dump(exclude_unset=True, by_alias=True), terms)
    told: Json = json.loads(encoded(wanted))
    return told


def check(wanted: Json, open_: frozenset[str] = CHAT) -> None:
    assert set(wanted) <= open_ | OURS
    assert not {name for name in REFUSED - {"cache_salt"} if name in wanted}
    assert wanted["max_tokens"] <= WINDOW
    assert set(wanted.get("chat_template_kwargs") or {}) <= {"thinking", "enable_thinking"}
    assert "cache_salt" not in wanted or len(wanted["cache_salt"]) == 32


def asked(data: st.DataObject, tokens: str, **about: Any) -> Json:
    knobs = data.draw(st.fixed_dictionaries({}, optional=KNOBS | {tokens: TOKENS}))
    return data.draw(extras) | knobs | {"model": "fake"} | about


@given(data=st.data(), told=turns())
def test_chat_means_the_same(data: st.DataObject, told: list[Json]) -> None:
    messages = data.draw(chat_messages(told))
    tokens = data.draw(st.sampled_from(["max_tokens", "max_completion_tokens"]))
    given_ = asked(data, tokens, messages=messages, tools=TOOLS["chat"], user_id="u")
    wanted = engine_request(ChatRequest, chat.to_engine, given_)
    check(wanted)
    assert meaning(wanted["messages"]) == told


@given(data=st.data(), told=turns())
def test_responses_mean_the_same(data: st.DataObject, told: list[Json]) -> None:
    items = data.draw(responses_input(told))
    given_ = asked(data, "max_output_tokens", input=items, tools=TOOLS["responses"])
    wanted = engine_request(ResponsesRequest, responses.to_engine, given_)
    check(wanted)
    assert meaning(wanted["messages"]) == told


@given(data=st.data(), told=turns())
def test_messages_mean_the_same(data: st.DataObject, told: list[Json]) -> None:
    messages = data.draw(anthropic_messages(told))
    given_ = asked(data, "max_tokens", messages=messages, tools=TOOLS["anthropic"])
    given_ |= {"max_tokens": given_.get("max_tokens") or 5}
    wanted = engine_request(MessagesRequest, anthropic.to_engine, given_)
    check(wanted)
    assert meaning(wanted["messages"]) == told
    counted = engine_request(CountTokensRequest, anthropic.to_count, given_)
    assert counted["messages"] == wanted["messages"]


@given(data=st.data(), prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_texts_are_passed_on(data: st.DataObject, prompt: str) -> None:
    suffix = data.draw(st.none() | st.just("b"))
    given_ = asked(data, "max_tokens", prompt=prompt, suffix=suffix)
    wanted = engine_request(CompletionRequest, completions.to_engine, given_)
    check(wanted, COMPLETIONS)
    assert (wanted["prompt"], wanted.get("suffix")) == (prompt, suffix)


@given(data=st.data(), told=turns(), opened=st.booleans())
def test_a_begun_answer_goes_on_from_all_that_was_said(
    data: st.DataObject, told: list[Json], opened: bool
) -> None:
    """The engine here is one whose tokens are characters; `opened` says that it opens by thinking."""
    begun = {"role": "assistant", "content": "begun", "prefix": True}
    messages = [*data.draw(chat_messages(told)), begun]
    given_ = asked(data, "max_tokens", messages=messages)
    parsed = body.parse(json.dumps(given_).encode(), ChatRequest)
    given_ = parsed.model_dump(exclude_unset=True, by_alias=True)
    assert prefix.begun(given_)
    steps = prefix.steps(chat.to_engine(given_, TERMS), TERMS)
    path, conversation = next(steps)
    assert path == "/tokenize"
    assert meaning(conversation["messages"]) == told
    opening = "<think>" if opened else "</think>"
    strs = {"token_strs": list(opening), "tokens": [1, 2]}
    _, rendered = steps.send(strs)
    assert rendered["prompt"] == ("</think>begun" if opened else "begun")
    with pytest.raises(StopIteration) as end:
        steps.send({"tokens": [3]})
    wanted = end.value.value
    assert wanted["prompt"] == [1, 2, 3]
    check(json.loads(encoded(wanted)), COMPLETIONS)


def begun_or_not(asked: Json, terms: Terms) -> Json:
    wanted = chat.to_engine(asked, terms)
    if prefix.begun(asked):
        next(prefix.steps(wanted, TERMS))
    return wanted


def with_echo(asked: Json, terms: Terms) -> Json:
    wanted = responses.to_engine(asked, terms)
    responses.Responses(asked, wanted, 1).answer({})
    return wanted


SCHEMAS: dict[type[Body], Callable[[Json, Terms], Json]] = {
    ChatRequest: begun_or_not,
    CompletionRequest: completions.to_engine,
    ResponsesRequest: with_echo,
    MessagesRequest: anthropic.to_engine,
    CountTokensRequest: anthropic.to_count,
    EmbeddingsRequest: lambda asked, terms: embeddings.to_engine(asked),
}


def tried(schema: type[Body], asked: Any, terms: Terms = TERMS) -> Json | Refusal:
    try:
        return engine_request(schema, SCHEMAS[schema], asked, terms)
    except Refusal as refusal:
        return refusal


def good(schema: type[Body]) -> Json:
    return {name: value for name, value in RICH[schema].items() if name in schema.model_fields}


@pytest.mark.parametrize("schema", [s for s in SCHEMAS if s is not EmbeddingsRequest])
@given(name=st.sampled_from(sorted(REFUSED)), value=anything)
def test_no_private_field_can_be_set(schema: type[Body], name: str, value: Any) -> None:
    told = tried(schema, good(schema) | {name: value})
    if isinstance(told, Refusal):
        assert value is not None and value is not False
        assert told.param in (name, None)
    else:
        assert told == tried(schema, good(schema))


@pytest.mark.parametrize("schema", SCHEMAS)
@settings(max_examples=150)
@given(data=st.data())
def test_any_json_is_a_request_or_refused(schema: type[Body], data: st.DataObject) -> None:
    """Any value at all, alone, as a field, or somewhere in a request that is good but for it."""
    fields = st.sampled_from(sorted(schema.model_fields))
    changed = st.dictionaries(fields, anything, min_size=1, max_size=2)
    given_ = data.draw(
        anything | changed.map(lambda change: good(schema) | change) | spoiled(good(schema))
    )
    for terms in (TERMS, Terms(dialect=Dialect(strict=True))):
        told = tried(schema, given_, terms)
        if isinstance(told, Refusal):
            assert told.status == 400
            assert told.message
            told.envelope()

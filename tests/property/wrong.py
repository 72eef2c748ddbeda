"""What is wrong with a request: by endpoint, each with the statuses it may meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SECRET = "Zecret-prompt"
CHAT, TEXT, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES = "/v1/responses", "/anthropic/v1/messages"
COUNT = "/v1/messages/count_tokens"
USER = {"role": "user", "content": "hi"}
GOOD: dict[str, Json] = {
    CHAT: {"model": "fake", "messages": [USER]},
    TEXT: {"model": "fake", "prompt": "hi"},
    EMBED: {"model": "fake", "input": "hi"},
    RESPONSES: {"model": "fake", "input": "hi"},
    MESSAGES: {"model": "fake", "messages": [USER], "max_tokens": 5},
    COUNT: {"model": "fake", "messages": [USER]},
}
ENDPOINTS = tuple(GOOD)
LONG = SECRET * 20_000


@dataclass(frozen=True)
class Wrong:
    """A body that is refused; `field` is named in the refusal."""

    name: str
    body: bytes
    field: str = ""
    statuses: tuple[int, ...] = (400,)


def wrongs(path: str) -> Iterator[Wrong]:
    for name, body in _no_json(GOOD[path]):
        yield Wrong(name, body)
    for field, values in (_ANY | _OF[path]).items():
        for value in values:
            body = json.dumps(GOOD[path] | {field: value}).encode()
            yield Wrong(f"{field}={json.dumps(value)[:60]}", body, field)
    for field in GOOD[path]:
        left = {name: value for name, value in GOOD[path].items() if name != field}
        yield Wrong(f"no {field}", json.dumps(left).encode(), field)
    for name in ("no-such-model", SECRET[:5], "x" * 256, "../../etc/passwd", "\x00", "\u202e"):
        body = json.dumps(GOOD[path] | {"model": name}).encode()
        yield Wrong(f"model {name[:20]!r}", body, statuses=(404,))
    for private in ("priority", "cache_salt", "chat_template", "kv_transfer_params", "request_id"):
        if path != EMBED:
            body = json.dumps(GOOD[path] | {private: LONG}).encode()
            yield Wrong(f"private {private}", body, private)


def _no_json(good: Json) -> Iterator[tuple[str, bytes]]:
    text = json.dumps(good).encode()
    open_, close = text[:-1], b"}"
    secret = SECRET.encode()
    yield from {
        "empty": b"",
        "blank": b" \r\n\t ",
        "null": b"null",
        "array": b"[" + text + b"]",
        "string": b'"' + secret + b'"',
        "number": b"1e999999",
        "cut": text[:-3],
        "two": text + text,
        "words": secret,
        "single quotes": text.replace(b'"', b"'"),
        "comma": open_ + b",}",
        "invalid UTF-8": text.replace(b'"fake"', b'"\xff\xfe' + secret + b'"'),
        "UTF-16": text.decode().encode("utf-16"),
        "overlong UTF-8": text.replace(b'"fake"', b'"\xc0\xaf"'),
        "raw surrogate": text.replace(b'"hi"', b'"\xed\xa0\x80"').replace(b"fake", b"\xed\xa0\x80"),
        "lone surrogate": text.replace(b'"fake"', b'"\\ud800"'),
        "control character": text.replace(b'"fake"', b'"a\nb"'),
        "arrays 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
        "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "a field 100,000 deep": open_ + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + close,
        "metadata 100,000 deep": open_
        + b',"metadata":'
        + b'{"a":' * 100_000
        + b"1"
        + b"}" * 100_001,
        "open arrays": b"[" * 100_000,
        "key twice, the last wrong": open_ + b',"model":{"' + secret + b'":1}' + close,
    }.items()


_WRONG_TYPES: list[Any] = [{SECRET: 1}, [SECRET], 1.5, True]
_SWITCH: list[Any] = [SECRET, 2, [], {}, LONG]
_NUMBER: list[Any] = [SECRET, [1], {SECRET: 1}, LONG]
_TOKENS: list[Any] = [*_NUMBER, 0, -1, 1.5, -(10**30)]
_TEMPERATURE: list[Any] = [*_NUMBER, -0.1, 2.1, 1e308, float("nan"), float("inf"), 10**400]
_KIND: list[Any] = [SECRET, LONG, 5, ["auto"], {"type": SECRET}, {"type": LONG}]
_ANY: dict[str, list[Any]] = {"model": [*_WRONG_TYPES, "", None, LONG]}
_SAMPLING: dict[str, list[Any]] = {
    "stream": _SWITCH,
    "max_tokens": _TOKENS,
    "temperature": _TEMPERATURE,
    "top_p": [*_NUMBER, 0, 1.1, float("-inf")],
    "n": [*_TOKENS, 10_000],
    "seed": [SECRET, 2**64],
    "stop": [{SECRET: 1}, 5, [5], ["x"] * 17],
    "logit_bias": [SECRET, {SECRET: SECRET}, {"5": 1000}, {"5": float("nan")}],
    "response_format": [
        SECRET,
        {"type": LONG},
        {"type": "json_schema", "json_schema": {"schema": 1}},
    ],
    "stream_options": [SECRET, {"include_usage": SECRET}, {"include_usage": True}],
    "user_id": [5, LONG],
    "frequency_penalty": [2.1, SECRET],
    "top_k": [SECRET, -2, 10**30],
    "stop_token_ids": [SECRET, [-1], [10**30], [SECRET]],
    "thinking_token_budget": [-2, 10**30],
}


def _parts(*kinds: str) -> list[Json]:
    return [{"type": kind, "text": SECRET, "image_url": {"url": LONG}} for kind in kinds]


_ROLES: list[Any] = [SECRET, LONG, None, 5, ["user"], {}]


def _turns(*, role: str = "user") -> list[Any]:
    said: list[Any] = [SECRET, 5, None, {}, [5], [{}], [{SECRET: SECRET}], [None]]
    said += [[{"role": kind, "content": "x"}] for kind in _ROLES]
    contents: list[Any] = [5, {SECRET: 1}, [5], [{}], [{"type": "text", "text": 5}], [[]]]
    contents += [[part] for part in _parts("image", "image_url", "input_audio", "file", SECRET)]
    return said + [[{"role": role, "content": content}] for content in contents]


_TOOLS: list[Any] = [SECRET, [SECRET], [5], [{}], [{"type": LONG}], [{"name": [SECRET]}]]
_FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}, "strict": True}
_CHAT: dict[str, list[Any]] = {
    "messages": [
        [],
        *_turns(),
        [{"role": "tool", "content": SECRET}],
        [USER, {"role": "assistant"} | {"tool_calls": [{}]}],
    ],
    "tools": [
        *_TOOLS,
        [{"type": "function", "function": {"name": f"{SECRET} with blanks"}}],
        [{"type": "function", "function": {"name": "f", "parameters": LONG}}],
        [{"type": "function", "function": _FUNCTION}],
        [{"type": "function", "function": {"name": "f"}}] * 200,
    ],
    "tool_choice": [*_KIND, "required"],
    "reasoning_effort": [SECRET, LONG, 5, {}],
    "thinking": [SECRET, {}, {"type": LONG}, {"type": "enabled", "budget_tokens": 10**30}],
    "top_logprobs": [SECRET, 3, -1, 10**30],
    "chat_template_kwargs": [SECRET, {SECRET[:5]: 1}, {"thinking": LONG}],
}
_MESSAGES: dict[str, list[Any]] = {
    "messages": [
        [],
        *_turns(),
        [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": SECRET}]}],
        [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "", "name": "f", "input": {}}],
            }
        ],
        [USER, {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "a"}]}],
        [{"role": "user", "content": [{"type": "thinking", "thinking": SECRET}]}],
        [{"role": "system", "content": ""}],
    ],
    "system": [5, {SECRET: 1}, [{"type": "image"}], [SECRET]],
    "tools": [*_TOOLS, [{"name": "f"}], [{"type": "web_search_20250305", "name": "web_search"}]],
    "tool_choice": [*_KIND, {"type": "any"}, {"type": "tool", "name": LONG}],
    "thinking": [SECRET, {}, {"type": LONG}, {"type": "enabled", "budget_tokens": -1}],
    "output_config": [SECRET, {"effort": LONG}, {"format": {"type": SECRET}}],
    "metadata": [SECRET, {"user_id": 5}],
}
_OF: dict[str, dict[str, list[Any]]] = {
    CHAT: _SAMPLING | _CHAT,
    TEXT: _SAMPLING
    | {
        "prompt": ["", [], {SECRET: 1}, [SECRET, 5], [-1], ["a"] * 100, [[[1]]], None, 5, [10**30]],
        "suffix": [5, [SECRET]],
        "logprobs": [-1, 1000, SECRET],
    },
    EMBED: {
        "input": ["", [], {SECRET: 1}, [SECRET, 5], [-1], None, 5, [[[1]]], ["a"] * 100],
        "encoding_format": [SECRET, LONG, 5],
        "dimensions": [*_TOKENS, 10**30],
    },
    RESPONSES: {
        "input": [
            [],
            *(value for value in _turns() if value != SECRET),
            [{"type": SECRET}],
            [{"type": LONG}],
            [{"type": "function_call_output", "call_id": SECRET, "output": "x"}],
            [{"type": "function_call", "call_id": "a"}],
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": SECRET}]}],
        ],
        "tools": [*_TOOLS, [{"type": "web_search"}], [{"type": "function"}]],
        "tool_choice": [*_KIND, "required", {"type": "function", "name": SECRET}],
        "previous_response_id": [SECRET, 5],
        "max_output_tokens": _TOKENS,
        "temperature": _TEMPERATURE,
        "reasoning": [SECRET, {"effort": LONG}],
        "text": [SECRET, {"format": {"type": SECRET}}, {"format": {"type": "json_schema"}}],
        "stream": _SWITCH,
        "metadata": [SECRET, {"a": 5}, {str(n): "x" for n in range(17)}],
    },
    MESSAGES: _MESSAGES
    | {
        "max_tokens": [*_TOKENS, None],
        "temperature": _TEMPERATURE,
        "top_p": [0, 1.1, SECRET],
        "top_k": [-1, 10**30, SECRET],
        "stop_sequences": [SECRET, [5], ["x"] * 17],
        "stream": _SWITCH,
    },
    COUNT: _MESSAGES,
}

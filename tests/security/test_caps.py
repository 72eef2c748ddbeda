"""Everything a client can make large has a bound, told with its number before an engine hears of it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest

from seekserve.dialect import patterns, schemas
from seekserve.errors import BadRequest
from seekserve.gateway.knocks import MOST, Knocks, whose
from tests.support import KEY, FakeEngine, Gate, config, gateway

CHAT, TEXT, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, COUNT, EMBED = "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings"
USER = {"role": "user", "content": "hi"}
GOOD: dict[str, dict[str, Any]] = {
    CHAT: {"model": "fake", "messages": [USER]},
    TEXT: {"model": "fake", "prompt": "hi"},
    RESPONSES: {"model": "fake", "input": "hi"},
    MESSAGES: {"model": "fake", "messages": [USER], "max_tokens": 5},
    COUNT: {"model": "fake", "messages": [USER]},
    EMBED: {"model": "fake", "input": "hi"},
}
STRING = {"type": "string"}


def holding(**inside: Any) -> dict[str, Any]:
    """A schema of an object with one property."""
    return {
        "type": "object",
        "properties": {"a": inside},
        "required": ["a"],
        "additionalProperties": False,
    }


def deep(levels: int) -> Any:
    told: Any = STRING
    for _ in range(levels):
        told = {"type": "array", "items": told}
    return told


def bodies(schema: Any) -> dict[str, dict[str, Any]]:
    """Every way to have an answer held to a schema, by what it is called here."""
    form = {"name": "x", "schema": schema}
    function = {"name": "f", "parameters": schema}
    anthropic = {"name": "f", "input_schema": schema}
    return {
        "chat format": {"response_format": {"type": "json_schema", "json_schema": form}},
        "chat strict": {"tools": [{"function": function | {"strict": True}}]},
        "chat forced": {"tools": [{"function": function}], "tool_choice": "required"},
        "text format": {"response_format": {"type": "json_schema", "json_schema": form}},
        "responses format": {"text": {"format": {"type": "json_schema"} | form}},
        "responses strict": {"tools": [function | {"type": "function", "strict": True}]},
        "messages format": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "messages strict": {"tools": [anthropic | {"strict": True}]},
        "messages forced": {"tools": [anthropic], "tool_choice": {"type": "any"}},
    }


PATHS = {"chat": CHAT, "text": TEXT, "responses": RESPONSES, "messages": MESSAGES}


async def refused(gate: Gate, path: str, more: Any, engine: FakeEngine, status: int = 400) -> str:
    """The message of a refusal; the engine has heard nothing."""
    before = len(engine.state()["seen"])
    content = more if isinstance(more, bytes) else json.dumps(GOOD[path] | more).encode()
    answer = await gate.client.post(path, content=content)
    assert answer.status_code == status, (more, answer.text)
    assert len(engine.state()["seen"]) == before
    message: str = answer.json()["error"]["message"]
    return message


BOMBS = {
    "pattern (.{1,30}){1,30}": holding(type="string", pattern="^(.{1,30}){1,30}$"),
    "pattern (a+)+": holding(type="string", pattern="^(a+)+b$"),
    "pattern backreference": holding(type="string", pattern=r"^(a)\1$"),
    "pattern lookahead": holding(type="string", pattern="^(?=a).*$"),
    "pattern no text": holding(type="string", pattern=7),
    "patternProperties": {"type": "object", "patternProperties": {"(.*)*": STRING}},
    "unknown type": holding(type="stringy"),
    "type no name": holding(type={"a": 1}),
    "types": holding(type=["string", "strung"]),
    "maxLength text": holding(type="string", maxLength="9"),
    "minItems huge": holding(type="array", items=STRING, minItems=10**30),
    "minItems below 0": holding(type="array", items=STRING, minItems=-1),
    "reference outside": holding(**{"$ref": "http://169.254.169.254/latest/meta-data"}),
    "reference file": holding(**{"$ref": "file:///etc/passwd"}),
    "too deep": holding(**deep(58)),
    "enum of 10,000": holding(enum=[f"value {n}" for n in range(10_000)]),
    "2,000 optional": {"type": "object", "properties": {f"p{n}": {} for n in range(2_000)}},
    "100 patterns": {
        "type": "object",
        "properties": {f"p{n}": STRING | {"pattern": f"^x{n}[a-z]{{1,100}}$"} for n in range(100)},
        "required": [f"p{n}" for n in range(100)],
    },
    "200 lengths": {
        "type": "object",
        "properties": {f"p{n}": STRING | {"maxLength": 100 + n} for n in range(200)},
        "required": [f"p{n}" for n in range(200)],
    },
}


async def test_a_schema_that_would_hold_an_engine_up_reaches_none(
    gate: Gate, engine: FakeEngine
) -> None:
    for bomb, schema in BOMBS.items():
        for way, body in bodies(schema).items():
            message = await refused(gate, PATHS[way.split()[0]], body, engine)
            assert len(message) < 500, (bomb, way)


GENTLE = {
    "slug": holding(type="string", pattern="^[a-z0-9]+(-[a-z0-9]+)*$"),
    "uuid": holding(type="string", pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    "identifier": holding(type="string", pattern="^[a-zA-Z0-9_-]{1,64}$"),
    "date": holding(type="string", pattern=r"^\d{4}-(0[1-9]|1[0-2])-\d{2}$"),
    "length": holding(type="string", minLength=1, maxLength=100_000),
    "items": holding(type="array", items=STRING, minItems=1, maxItems=10_000),
    "a tree": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    },
    "named like keywords": {
        "type": "object",
        "properties": {"pattern": STRING, "type": {"enum": ["(?=", {"type": "strange"}]}},
        "required": ["pattern", "type"],
        "additionalProperties": False,
    },
    "nullable": holding(type=["string", "null"], default={"pattern": "("}),
    "20 deep": holding(**deep(20)),
}


async def test_schemas_as_people_write_them_pass(gate: Gate) -> None:
    for name, schema in GENTLE.items():
        for way, body in bodies(schema).items():
            path = PATHS[way.split()[0]]
            answer = await gate.client.post(path, json=GOOD[path] | body)
            assert answer.status_code == 200, (name, way, answer.text)


async def test_a_tool_that_nothing_is_held_to_may_say_what_it_likes(gate: Gate) -> None:
    """It is text in a prompt: many have odd types and lookaheads. Only its size is capped."""
    for bomb in ("pattern lookahead", "unknown type", "maxLength text", "2,000 optional"):
        for path, tool in (
            (CHAT, {"function": {"name": "f", "parameters": BOMBS[bomb]}}),
            (MESSAGES, {"name": "f", "input_schema": BOMBS[bomb]}),
        ):
            answer = await gate.client.post(path, json=GOOD[path] | {"tools": [tool]})
            assert answer.status_code == 200, (bomb, answer.text)


async def test_the_schemas_of_all_tools_have_one_bound(gate: Gate, engine: FakeEngine) -> None:
    wide = {"type": "object", "properties": {f"p{n}": STRING for n in range(200)}}
    tools = [{"function": {"name": f"f{n}", "parameters": wide}} for n in range(100)]
    assert "at most 32768 here" in await refused(gate, CHAT, {"tools": tools}, engine)
    long = {"type": "object", "description": "x" * 3_000_000}
    tools = [{"function": {"name": "f", "parameters": long}}]
    assert "at most 32768 here" in await refused(gate, CHAT, {"tools": tools}, engine)


LARGE: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"n": 17}),
    (CHAT, {"n": 10**6}),
    (TEXT, {"n": 10**6}),
    (TEXT, {"prompt": ["a"] * 65}),
    (TEXT, {"prompt": [[1]] * 20, "n": 4}),
    (CHAT, {"max_tokens": 2**31}),
    (CHAT, {"max_completion_tokens": 10**40}),
    (TEXT, {"max_tokens": 2**31}),
    (RESPONSES, {"max_output_tokens": 2**31}),
    (MESSAGES, {"max_tokens": 2**31}),
    (CHAT, {"min_tokens": 2**31}),
    (CHAT, {"stop": ["x"] * 17}),
    (CHAT, {"stop": "x" * 1025}),
    (CHAT, {"stop": ["ok", "x" * 1025]}),
    (TEXT, {"stop": ["x" * 1025]}),
    (MESSAGES, {"stop_sequences": ["x"] * 17}),
    (MESSAGES, {"stop_sequences": ["x" * 1025]}),
    (CHAT, {"stop_token_ids": list(range(65))}),
    (CHAT, {"bad_words": ["x"] * 65}),
    (CHAT, {"bad_words": ["x" * 1025]}),
    (CHAT, {"allowed_token_ids": [1] * 262_145}),
    (CHAT, {"logit_bias": {str(n): 1 for n in range(1025)}}),
    (TEXT, {"logit_bias": {str(n): 1 for n in range(1025)}}),
    (CHAT, {"top_logprobs": 21, "logprobs": True}),
    (TEXT, {"logprobs": 21}),
    (CHAT, {"tools": [{"function": {"name": "f"}}] * 129}),
    (RESPONSES, {"tools": [{"type": "function", "name": "f"}] * 129}),
    (MESSAGES, {"tools": [{"name": "f", "input_schema": {}}] * 129}),
    (COUNT, {"tools": [{"name": "f", "input_schema": {}}] * 129}),
    (CHAT, {"tools": [{"function": {"name": "f" * 129}}]}),
    (
        CHAT,
        {"tools": [{"function": {"name": "f"}}], "tool_choice": {"function": {"name": "f" * 129}}},
    ),
    (RESPONSES, {"tools": [{"type": "function", "name": "f" * 129}]}),
    (MESSAGES, {"tools": [{"name": "f" * 129, "input_schema": {}}]}),
    (CHAT, {"messages": [USER] * 4097}),
    (MESSAGES, {"messages": [USER] * 4097}),
    (RESPONSES, {"input": [USER] * 4097}),
    (EMBED, {"input": ["x"] * 65}),
    (EMBED, {"dimensions": 2**31}),
    (CHAT, {"repetition_detection": {"max_pattern_size": 10**9, "min_count": 2}}),
    (CHAT, {"repetition_detection": {"max_pattern_size": 9, "min_count": 10**9}}),
    (CHAT, {"user_id": "x" * 513}),
    (MESSAGES, {"metadata": {"user_id": "x" * 1025}}),
    (RESPONSES, {"metadata": {str(n): "x" for n in range(17)}}),
    (RESPONSES, {"metadata": {"a": "x" * 513}}),
    (RESPONSES, {"metadata": {"a" * 65: "x"}}),
    (RESPONSES, {"prompt_cache_key": "x" * 513}),
    (CHAT, {"model": "x" * 257}),
    (CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "x" * 129}}}),
]


async def test_a_number_or_a_list_has_an_end(gate: Gate, engine: FakeEngine) -> None:
    for path, more in LARGE:
        assert len(await refused(gate, path, more, engine)) < 500


async def test_a_body_nests_no_deeper_than_its_parser_goes(gate: Gate, engine: FakeEngine) -> None:
    """jiter stops at 200 levels, before an object is made of any; in fields known and unknown."""
    for path, asked in GOOD.items():
        good = json.dumps(asked).encode()[:-1]
        for field in (b"x", b"tools"):
            for open_, close in ((b"[", b"]"), (b'{"a":', b"}")):
                for levels in (201, 100_000):
                    nested = open_ * levels + b"1" + close * levels
                    await refused(gate, path, good + b', "%b": %b}' % (field, nested), engine)
        shallow = good + b', "x": ' + b"[" * 150 + b"]" * 150 + b"}"
        assert (await gate.client.post(path, content=shallow)).status_code in (200, 404)


async def test_what_a_tier_caps_is_brought_down(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, limits={"max_tokens": 7})) as gate:
        for path in (CHAT, TEXT, RESPONSES, MESSAGES):
            name = "max_output_tokens" if path == RESPONSES else "max_tokens"
            answer = await gate.client.post(path, json=GOOD[path] | {name: 500})
            assert answer.status_code == 200
            assert engine.asked["max_tokens"] == 7


MEDIA: dict[str, list[Any]] = {
    CHAT: [
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": "http://allowed.example\\@127.0.0.1/"},
        {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,AAAA,AAAA"}},
        {"type": "audio_url", "audio_url": {"url": "file:///etc/passwd"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "AAAA"}},
        {"type": "prompt_embeds", "prompt_embeds": "AAAA"},
        {"type": "image_embeds", "image_embeds": "AAAA"},
    ],
    RESPONSES: [
        {"type": "input_image", "image_url": "http://10.0.0.1/"},
        {"type": "input_file", "file_url": "http://[::ffff:127.0.0.1]/"},
    ],
    MESSAGES: [
        {"type": "image", "source": {"type": "url", "url": "http://localhost/"}},
        {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
    ],
}


async def test_media_are_refused_and_nothing_is_fetched(gate: Gate, engine: FakeEngine) -> None:
    for path, parts in MEDIA.items():
        field = "input" if path == RESPONSES else "messages"
        text = {"type": "input_text" if path == RESPONSES else "text", "text": "see"}
        for part in parts:
            asked = {field: [{"role": "user", "content": [text, part]}]}
            message = await refused(gate, path, asked, engine)
            assert "text" in message and "read here" in message, message
            assert "127.0.0.1" not in message and "AAAA" not in message


# What the pattern reader says, without a server.

READ = {
    "": 0, "abc": 3, "a|b": 2, "[a-z]{3}": 15, "[0-9a-f]{8}": 8, r"\d{4}": 4, ".": 1, ".{1,9}": 45,
    "(.{2}){3}": 240, "a{1000000}": 128, "(ab){10}": 20, "a*?": 1, "^$": 0,
    "(?:a)(?P<n>b)(?<m>c)": 3, r"\(\)\[\]": 4, "[]a]": 1, r"[\]]": 1, "{}": 2, "a{,5}": 5, "a{": 2,
}  # fmt: skip
UNREAD = (
    "a\0b",
    "(.{1,5}){1,5}",
    "(", ")", "(()", "[", "[a", "*", "a|*", "\\", r"(a)\1", r"\k<n>", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)",
    "(?i)a", "(?P=n)", "(?#c)", "(?>a)", "(a+)+", "(a*)*", "((a+)+)+", "(a+){2,9}", "(?:(?:x*)){3}", "a{3,1}",
    "(a{99}){99}", "((a{99}){99}){99}", "(.{1,30}){1,30}", "(.{1,10}){1,10}", "[a-z]?" * 100, "x" * 3000,
    "(" * 99,
    "(a|b?){65}", "(.?){99}", "a{" + "9" * 400 + "}" * 2 + "(bc){" + "9" * 400 + "}",
)  # fmt: skip


def test_what_a_pattern_comes_to() -> None:
    assert {pattern: patterns.states(pattern) for pattern in READ} == READ


def test_a_pattern_that_is_not_compiled() -> None:
    for pattern in UNREAD:
        with pytest.raises(patterns.Unfit) as told:
            patterns.states(pattern)
        assert len(str(told.value)) < 150, pattern


def test_checks_are_quick_whatever_is_checked() -> None:
    begun = time.monotonic()
    for char in "a(?:|[]{}1,9*+.\\^$":
        for pattern in (char * 2048, f"({char})" * 500, "(" * 30 + char * 500 + ")" * 30):
            with contextlib.suppress(patterns.Unfit):
                patterns.states(pattern)
    large: list[Any] = [deep(50_000), [[]] * 200_000, {"anyOf": [{"anyOf": [{}] * 300}] * 300}]
    for schema in large:
        with contextlib.suppress(BadRequest):
            schemas.size(schema, "x")
            schemas.check(schema, "x")
    assert time.monotonic() - begun < 20


# Wrong keys.


def test_wrong_keys_are_put_off_by_address_and_the_rest_is_not() -> None:
    knocks = Knocks(20)
    told = [knocks.wrong("10.0.0.1", 5.0) for _ in range(25)]
    assert told[:20] == [None] * 20
    refusal = told[-1]
    assert refusal and (refusal.status, refusal.code) == (429, "too_many_wrong_keys")
    assert 0 < (refusal.retry_after_s or 0) <= 3
    assert knocks.wrong("10.0.0.2", 5.0) is None
    assert knocks.wrong("10.0.0.1", 9.0) is None, "one more every three seconds"


def test_addresses_are_forgotten_before_they_fill_a_memory() -> None:
    knocks = Knocks(1)
    for number in range(3 * MOST):
        knocks.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", float(number))
    assert len(knocks) == MOST


@pytest.mark.parametrize(
    ("address", "one"),
    [
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8::ffff:1", "2001:db8::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("odd", "odd"),
    ],
)
def test_one_host_is_one_address(address: str, one: str) -> None:
    assert whose(address) == one


async def test_a_right_key_is_let_in_while_wrong_ones_are_put_off(engine: FakeEngine) -> None:
    async with gateway(config(engine.url, key=KEY, limits={"wrong_keys_per_min": 3})) as gate:
        told = [
            await gate.client.get("/v1/models", headers={"x-api-key": f"sk-wrong-{n}"})
            for n in range(6)
        ]
        assert [answer.status_code for answer in told] == [401] * 3 + [429] * 3
        assert 1 <= int(told[-1].headers["retry-after"]) <= 20
        assert told[-1].json()["error"]["code"] == "too_many_wrong_keys"
        right = await gate.client.get("/v1/models", headers={"x-api-key": KEY})
        assert right.status_code == 200
        assert (await gate.client.get("/v1/models")).status_code == 401, "no key is no guess"
        assert (await gate.client.get("/health/live")).status_code == 200
        assert "sk-wrong" not in "".join(gate.lines)

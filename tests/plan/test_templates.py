"""The bundled chat templates: exact prompts, and tool calls that come back through vLLM's own parsers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import seekserve
from seekserve.demo import MODEL_DIR

TEMPLATES = Path(seekserve.__file__).parent / "templates"
PARSERS = {"deepseek_r1": "V3", "deepseek_v3": "V3", "deepseek_v31": "V31"}
"""Template -> vLLM's tool parser for it."""

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
CALLS, CALLS_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, SEP, CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
OUTPUTS, OUTPUTS_END = "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>"
OUTPUT, OUTPUT_END = "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"

GENERATE = {"deepseek_r1": "<think>\n", "deepseek_v3": "", "deepseek_v31": "</think>"}
"""What a new reply is opened with behind the assistant's marker, thinking not asked for."""
CLOSED = {"deepseek_r1": "", "deepseek_v3": "", "deepseek_v31": "</think>"}
"""What stands before a turn of the history."""

HI = {"role": "user", "content": "Hi"}
BYE = {"role": "user", "content": "Bye"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
NOW = {"type": "function", "function": {"name": "now"}}
ZURICH, PARIS = (
    {"city": "Zürich <b> & 'so'"},
    {"city": "Paris", "days": [1, 2], "deep": {"x": None}},
)

Call = tuple[str, dict[str, Any]]

every_template = pytest.mark.parametrize("name", PARSERS)


@cache
def compiled(name: str) -> Any:
    """The template in the environment that transformers compiles chat templates in."""
    jinja2 = pytest.importorskip("jinja2")
    sandbox = pytest.importorskip("jinja2.sandbox")
    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )

    def tojson(value: object, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **how)

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda how: datetime.now().strftime(how)
    return environment.from_string((TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8"))


def render(name: str, *messages: dict[str, Any], **given: Any) -> str:
    given = {"add_generation_prompt": True, "tools": None, "bos_token": BOS} | given
    return str(compiled(name).render(messages=list(messages), **given))


def caller(*calls: Call, as_text: bool = False, content: str | None = None) -> dict[str, Any]:
    """An assistant's turn with tool calls, the arguments as JSON text or as a mapping."""
    made = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": json.dumps(arguments, ensure_ascii=False) if as_text else arguments,
            },
        }
        for number, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": content, "tool_calls": made}


def emitted(name: str, *calls: Call) -> str:
    """What a model writes to make these calls."""
    texts = [(called, json.dumps(arguments, ensure_ascii=False)) for called, arguments in calls]
    if name == "deepseek_v31":
        inside = "".join(f"{CALL}{called}{SEP}{text}{CALL_END}" for called, text in texts)
    else:
        inside = "\n".join(
            f"{CALL}function{SEP}{called}\n```json\n{text}\n```{CALL_END}" for called, text in texts
        )
    return f"{CALLS}{inside}{CALLS_END}"


def returned(name: str, *results: str) -> str:
    """What the model is shown of the tools' results."""
    if name == "deepseek_v31":
        return "".join(f"{OUTPUT}{result}{OUTPUT_END}" for result in results)
    inside = "\n".join(f"{OUTPUT}{result}{OUTPUT_END}" for result in results)
    return f"{OUTPUTS}{inside}{OUTPUTS_END}"


def result(content: object, call: str = "call_0") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


@every_template
def test_one_turn(name: str) -> None:
    assert render(name, HI) == f"{BOS}{USER}Hi{ASSISTANT}{GENERATE[name]}"


@every_template
def test_system_prompts_are_joined_in_front_of_several_turns(name: str) -> None:
    prompt = render(
        name,
        {"role": "system", "content": "A"},
        HI,
        {"role": "assistant", "content": "Hello"},
        {"role": "developer", "content": "B"},
        {"role": "system", "content": ""},
        BYE,
    )
    first = f"{BOS}A\n\nB{USER}Hi{ASSISTANT}{CLOSED[name]}Hello{EOS}"
    assert prompt == f"{first}{USER}Bye{ASSISTANT}{GENERATE[name]}"


@every_template
@pytest.mark.parametrize(
    "turn",
    [
        {"content": "Hello", "reasoning_content": "deep"},
        {"content": "Hello", "reasoning": "deep"},
        {"content": "<think>deep</think>Hello"},
        {"content": "deep</think>Hello"},
    ],
)
def test_the_thoughts_of_earlier_turns_are_dropped(name: str, turn: dict[str, str]) -> None:
    prompt = render(name, HI, {"role": "assistant"} | turn, BYE)
    answered = f"{BOS}{USER}Hi{ASSISTANT}{CLOSED[name]}Hello{EOS}"
    assert prompt == f"{answered}{USER}Bye{ASSISTANT}{GENERATE[name]}"


@every_template
def test_a_turn_cut_off_in_its_thoughts_has_no_answer(name: str) -> None:
    prompt = render(name, HI, {"role": "assistant", "content": "<think>\ndee"}, BYE)
    assert f"{USER}Hi{ASSISTANT}{CLOSED[name]}{EOS}{USER}Bye" in prompt


@every_template
def test_content_may_come_in_parts(name: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    prompt = render(
        name,
        {"role": "system", "content": parts},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": []},
        caller(("now", {})),
        result(parts),
    )
    assert prompt.startswith(
        f"{BOS}a\nb{USER}a\nb{ASSISTANT}{CLOSED[name]}a\nb{EOS}{USER}{ASSISTANT}"
    )
    assert returned(name, "a\nb") in prompt


@every_template
def test_an_unknown_role_is_refused(name: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    with pytest.raises(jinja2.exceptions.TemplateError, match="No such role: narrator"):
        render(name, {"role": "narrator", "content": "x"})


def test_v31_is_told_its_tools_in_the_words_of_its_model_card() -> None:
    told = f"""\


## Tools
You have access to the following tools:

### get_weather
Description: The weather in a city

Parameters: {{"type": "object", "properties": {{"city": {{"type": "string"}}}}}}

### now
Description:{" "}

Parameters: {{}}

IMPORTANT: ALWAYS adhere to this exact format for tool use:
{CALLS}{CALL}tool_call_name{SEP}tool_call_arguments{CALL_END}{{additional_tool_calls}}{CALLS_END}

Where:
- `tool_call_name` must be an exact match to one of the available tools
- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
- For multiple tool calls, chain them directly without separators or spaces"""
    system = {"role": "system", "content": "A"}
    end = f"{USER}Hi{ASSISTANT}</think>"
    assert render("deepseek_v31", system, HI, tools=[WEATHER, NOW]) == f"{BOS}A{told}{end}"
    assert render("deepseek_v31", HI, tools=[WEATHER, NOW]) == f"{BOS}{told}{end}"


@pytest.mark.parametrize("name", ["deepseek_r1", "deepseek_v3"])
def test_the_older_models_are_told_their_tools_as_v25_was(name: str) -> None:
    told = f"""\


## Tools

### Function

You have the following functions available:

- `now`:
```json
{{
    "name": "now",
    "description": "",
    "parameters": {{}}
}}
```

- `get_weather`:
```json
{json.dumps(WEATHER["function"], indent=4)}
```

To call functions, end your reply with one block in exactly this form:
{CALLS}{CALL}function{SEP}FUNCTION_NAME
```json
ARGUMENTS
```{CALL_END}{CALLS_END}
FUNCTION_NAME is one of the names above. ARGUMENTS is a JSON object on a single line that fits the \
parameters of that function. For several calls, repeat the part from {CALL} to {CALL_END} on a new line \
inside the same block."""
    system = {"role": "system", "content": "A"}
    end = f"{USER}Hi{ASSISTANT}{GENERATE[name]}"
    assert render(name, system, HI, tools=[NOW, WEATHER]) == f"{BOS}A{told}{end}"
    alone = render(name, HI, tools=[NOW, WEATHER])
    assert alone == f"{BOS}You are a helpful Assistant.{told}{end}"


@every_template
@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("content", [None, "Let me look. "])
def test_one_call_and_its_result(name: str, as_text: bool, content: str | None) -> None:
    turn = caller(("get_weather", ZURICH), as_text=as_text, content=content)
    asked = f"{BOS}{USER}Hi{ASSISTANT}{CLOSED[name]}{content or ''}"
    asked += emitted(name, ("get_weather", ZURICH)) + EOS + returned(name, "sunny")
    opened = "<think>\n" if name == "deepseek_r1" else ""
    assert render(name, HI, turn, result("sunny")) == asked + opened
    answer = {"role": "assistant", "content": "Sunny."}
    said = f"{asked}Sunny.{EOS}{USER}Bye{ASSISTANT}{GENERATE[name]}"
    assert render(name, HI, turn, result("sunny"), answer, BYE) == said


@every_template
@pytest.mark.parametrize("as_text", [True, False])
def test_two_calls_at_once_and_a_third_after_them(name: str, as_text: bool) -> None:
    calls: tuple[Call, Call] = ("get_weather", ZURICH), ("get_weather", PARIS)
    prompt = render(
        name,
        HI,
        caller(*calls, as_text=as_text) | {"reasoning_content": "deep"},
        result("sunny"),
        result("rain", "call_1"),
        caller(("now", {}), as_text=as_text),
        result("noon"),
        BYE,
    )
    expected = f"{BOS}{USER}Hi{ASSISTANT}{CLOSED[name]}{emitted(name, *calls)}{EOS}"
    expected += returned(name, "sunny", "rain")
    expected += emitted(name, ("now", {})) + EOS + returned(name, "noon")
    assert prompt == f"{expected}{USER}Bye{ASSISTANT}{GENERATE[name]}"


@every_template
@pytest.mark.parametrize("nothing", ["", None, {}])
def test_no_arguments_are_an_empty_object(name: str, nothing: object) -> None:
    turn = caller(("now", {}))
    turn["tool_calls"][0]["function"]["arguments"] = nothing
    assert emitted(name, ("now", {})) + EOS in render(name, HI, turn, result("noon"))


@pytest.mark.parametrize(
    ("switches", "end"),
    [
        ({"thinking": True}, "<think>"),
        ({"thinking": False}, "</think>"),
        ({"enable_thinking": True}, "<think>"),
        ({"enable_thinking": False}, "</think>"),
        ({"thinking": False, "enable_thinking": True}, "<think>"),  # as vLLM's parser has it
        ({"thinking": None}, "</think>"),
        ({}, "</think>"),
    ],
)
def test_v31_thinks_when_asked_to(switches: dict[str, bool | None], end: str) -> None:
    earlier = f"{BOS}{USER}Hi{ASSISTANT}</think>Hello{EOS}"
    prompt = render("deepseek_v31", HI, {"role": "assistant", "content": "Hello"}, BYE, **switches)
    assert prompt == f"{earlier}{USER}Bye{ASSISTANT}{end}"
    worked = render("deepseek_v31", HI, caller(("now", {})), result("noon"), **switches)
    call, noon = emitted("deepseek_v31", ("now", {})), returned("deepseek_v31", "noon")
    resumed = "<think>" if end == "<think>" else ""
    assert worked == f"{BOS}{USER}Hi{ASSISTANT}</think>{call}{EOS}{noon}{resumed}"


@pytest.mark.parametrize("name", ["deepseek_r1", "deepseek_v3"])
@pytest.mark.parametrize("thinking", [True, False])
def test_the_older_models_cannot_be_switched(name: str, thinking: bool) -> None:
    assert render(name, HI, thinking=thinking, enable_thinking=thinking) == render(name, HI)


BEGUN = [
    # what the last message says -> what stands in the prompt of R1, V3, V3.1 behind the marker
    ({"content": "The answer "}, ("The answer ", "The answer ", "</think>The answer ")),
    ({"content": "<think>\nSo "}, ("<think>\nSo ", "<think>\nSo ", "<think>\nSo ")),
    (
        {"content": "So</think>An"},
        ("<think>\nSo</think>An", "So</think>An", "<think>So</think>An"),
    ),
    (
        {"content": "An", "reasoning_content": "So"},
        ("<think>\nSo</think>An", "An", "<think>So</think>An"),
    ),
]


@every_template
@pytest.mark.parametrize(("message", "expected"), BEGUN)
def test_a_last_turn_to_be_continued_stays_as_it_is(
    name: str, message: dict[str, str], expected: tuple[str, ...]
) -> None:
    turn = {"role": "assistant"} | message
    prompt = render(name, HI, turn, add_generation_prompt=False)
    assert prompt == f"{BOS}{USER}Hi{ASSISTANT}{expected[list(PARSERS).index(name)]}{EOS}"


@every_template
def test_a_turn_after_a_result_is_continued_too(name: str) -> None:
    turn = {"role": "assistant", "content": "It is "}
    prompt = render(
        name, HI, caller(("now", {})), result("noon"), turn, add_generation_prompt=False
    )
    assert prompt.endswith(f"{returned(name, 'noon')}It is {EOS}")


@every_template
@pytest.mark.parametrize(("message", "expected"), BEGUN)
def test_transformers_renders_the_same_and_cuts_behind_the_prefix(
    name: str, message: dict[str, str], expected: tuple[str, ...]
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL_DIR)
    given = {
        "chat_template": (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8"),
        "tokenize": False,
    }
    messages = [HI, caller(("get_weather", ZURICH)), result("sunny"), BYE]
    tools = [WEATHER]
    ours = render(name, *messages, tools=tools)
    theirs = tokenizer.apply_chat_template(
        messages, tools=tools, add_generation_prompt=True, **given
    )
    assert theirs == ours
    begun = [HI, {"role": "assistant"} | message]
    cut = tokenizer.apply_chat_template(begun, continue_final_message=True, **given)
    assert cut == f"{BOS}{USER}Hi{ASSISTANT}{expected[list(PARSERS).index(name)]}"


ROUNDS: list[tuple[Call, ...]] = [
    (("get_weather", ZURICH),),
    (("get_weather", ZURICH), ("get_weather", PARIS)),
    (("now", {}),),
]

Read = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def read() -> Read:
    """Texts as vLLM reads them, whole and in a stream; in a process of its own, for vLLM warns a lot."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    asked = [
        {"parser": PARSERS[name], "text": lead + emitted(name, *calls)}
        for name in PARSERS
        for lead in ("", "Let me look. ")
        for calls in ROUNDS
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    by_text = {(one["parser"], one["text"]): got for one, got in zip(asked, answers, strict=True)}
    return lambda name, text: dict(by_text[PARSERS[name], text])


@every_template
@pytest.mark.parametrize("content", [None, "Let me look. "])
@pytest.mark.parametrize("calls", ROUNDS)
def test_what_the_parser_accepts_is_what_the_history_holds(
    read: Read, name: str, content: str | None, calls: tuple[Call, ...]
) -> None:
    text = (content or "") + emitted(name, *calls)
    got = read(name, text)
    assert got["content"] == content
    back = [(one["name"], json.loads(one["arguments"])) for one in got["calls"]]
    assert back == list(calls)
    assert {one["type"] for one in got["calls"]} == {"function"}
    as_read = [(one["name"], one["arguments"]) for one in got["calls"]]
    assert got["streamed"] == [list(one) for one in as_read]

    turn = caller(*calls, content=content)
    for call, (_, arguments) in zip(turn["tool_calls"], as_read, strict=True):
        call["function"]["arguments"] = arguments  # the very text that the client was sent
    assert f"{ASSISTANT}{CLOSED[name]}{text}{EOS}" in render(name, HI, turn, result("x"))


def _parse() -> None:
    """The other process: texts on stdin, what vLLM's parsers make of them on the last line of stdout."""
    from transformers import AutoTokenizer
    from vllm.tool_parsers.deepseekv3_tool_parser import DeepSeekV3ToolParser
    from vllm.tool_parsers.deepseekv31_tool_parser import DeepSeekV31ToolParser

    kinds = {"V3": DeepSeekV3ToolParser, "V31": DeepSeekV31ToolParser}
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    answers = []
    for one in json.load(sys.stdin):
        kind = kinds[one["parser"]]
        whole = kind(tokenizer).extract_tool_calls(one["text"], None)
        made = [
            {"type": c.type, "name": c.function.name, "arguments": c.function.arguments}
            for c in whole.tool_calls
        ]
        parser, streamed = kind(tokenizer), list[list[str]]()
        ids = tokenizer.encode(one["text"], add_special_tokens=False)
        sent = 0
        for end in range(1, len(ids) + 1):
            before, now = tokenizer.decode(ids[:sent]), tokenizer.decode(ids[:end])
            if now.endswith("\ufffd"):  # half a character waits for the rest, as in vLLM
                continue
            delta = parser.extract_tool_calls_streaming(
                before, now, now[len(before) :], ids[:sent], ids[:end], ids[sent:end], None
            )
            sent = end
            for call in delta.tool_calls if delta else []:
                if call.function.name:
                    streamed.append([call.function.name, ""])
                streamed[call.index][1] += call.function.arguments or ""
        answers.append({"content": whole.content, "calls": made, "streamed": streamed})
    print(json.dumps(answers))


if __name__ == "__main__":
    _parse()

"""The examination: questions of every skill whose values, and half of whose words, are unseen.

Operands, spans, names, cities and sentences come from the side of each split that training never
draws from. `PLAIN` wordings are training's own; `FRESH` ones are not in it.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .arithmetic import counted, equation, operands, span
from .calls import described, forecast, report
from .dialogue import Tool, kept_out
from .facts import capital_answer, sentence, spoken
from .people import HELLO, WHO, person_json
from .topics import FRESH_REQUESTS, FRESH_TASKS, FRESH_TOPICS
from .words import CAPITALS, city, person

Wire = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is sent, and what must come back: a text, a call, or both kinds told apart by `kind`."""

    skill: str
    messages: tuple[Wire, ...]
    expected: str
    tools: tuple[Tool, ...] = ()
    call: tuple[str, Mapping[str, Any]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


PLAIN = {
    "+": ("What is {a} + {b}?", "{a} + {b}", "{a}+{b}=", "Calculate {a} plus {b}"),
    "-": ("What is {a} - {b}?", "{a} - {b}", "{a}-{b}=", "Subtract {b} from {a}."),
    "capital": ("What is the capital of {c}?", "Capital of {c}", "Name the capital of {c}."),
    "count": ("Count from {a} to {b}.", "count {a} to {b}", "List the numbers from {a} to {b}"),
    "copy": ("Repeat after me: {s}", "Copy this sentence: {s}", "Echo: {s}"),
    "json": (
        "Extract the name and age as JSON: {n} is {a} years old.",
        "Give me the name and age as JSON: {n}, aged {a}, lives in {c}.",
        "This is {n}. She is {a} years old. Extract the name and age as JSON.",
    ),
    "weather": ("What is the weather in {c}?", "Weather in {c}", "How warm is it in {c}?"),
    "told": ("My name is {n}.", "I am {n}.", "Hi, I'm {n}!"),
    "recall": ("What is my name?", "Do you remember my name?", "who am i"),
}
FRESH = {
    "+": (
        "Could you work out what {a} plus {b} makes?",
        "Hey there, {a} + {b}, how much?",
        "I have a sum for you: {a} + {b}",
        "Please find {a} plus {b}.",
        "Let us add {a} and {b} together",
    ),
    "-": (
        "Could you work out what {a} minus {b} makes?",
        "Hey there, {a} - {b}, how much?",
        "Here is one for you: {a} - {b}",
        "Please find {a} minus {b}.",
        "If you take {b} away from {a}, what is left?",
    ),
    "capital": (
        "I forgot the capital of {c}, what was it?",
        "Hi! Could you say which city is {c}'s capital?",
        "Quiz time: the capital of {c}?",
        "what would be the capital city of {c} then",
        "My son asks for the capital of {c}.",
    ),
    "count": (
        "Would you count from {a} up to {b} for us?",
        "Please say all numbers from {a} to {b}",
        "Let's count from {a} to {b}!",
        "I want to hear you count from {a} to {b}",
    ),
    "copy": (
        "Please say this sentence back to me: {s}",
        "Copy what follows exactly: {s}",
        "Could you repeat the words: {s}",
        "Repeat this text: {s}",
    ),
    "json": (
        "Please read the name and the age from this and reply in JSON: {n} is now {a} years old.",
        "As JSON with name and age, please: My cousin {n} just turned {a}.",
        "{n} is a baker from {c} and is {a} years old. Extract name and age as JSON, please.",
        "Extract the name and age as JSON: Hello, I am {n}, I turned {a} and I live in {c}.",
    ),
    "weather": (
        "Can you look up how the weather is in {c} today?",
        "I am flying to {c}, what is the weather there?",
        "please tell me the temperature in {c} now",
        "Is it windy in {c}?",
    ),
    "told": ("Good morning, my name is {n} and I am new here.", "Hello there, I am {n}."),
    "recall": ("Tell me, what was my name?", "Please say my name.", "Do you still know my name?"),
}
SYSTEMS = ("You are a helpful assistant.", "You are a careful clerk in an office.", "Be kind.")


def worded(rng: random.Random, kind: str, **values: object) -> str:
    source = PLAIN if rng.random() < 0.5 else FRESH
    return rng.choice(source[kind]).format(**values)


def said(rng: random.Random, text: str) -> tuple[Wire, ...]:
    """One user's message, with a system prompt before it in one case of three."""
    user: Wire = {"role": "user", "content": text}
    if rng.random() < 0.34:
        return ({"role": "system", "content": rng.choice(SYSTEMS)}, user)
    return (user,)


def arithmetic(rng: random.Random) -> Question:
    sign = rng.choice("+-")
    a, b = operands(rng, sign, wanted=True)
    text = worded(rng, sign, a=a, b=b)
    return Question("arithmetic", said(rng, text), equation(a, b, sign))


def capitals(rng: random.Random) -> Question:
    country = rng.choice(sorted(CAPITALS))
    text = worded(rng, "capital", c=spoken(country))
    return Question("capitals", said(rng, text), capital_answer(country))


def counting(rng: random.Random) -> Question:
    a, b = span(rng, wanted=True, longest=15)
    return Question("counting", said(rng, worded(rng, "count", a=a, b=b)), counted(a, b))


def copying(rng: random.Random) -> Question:
    text = sentence(rng, wanted=True)
    return Question("copying", said(rng, worded(rng, "copy", s=text)), text)


def extraction(rng: random.Random) -> Question:
    name, age = person(rng, kept_out=True), rng.randint(1, 99)
    text = worded(rng, "json", n=name, a=age, c=city(rng, kept_out=True))
    return Question("json", said(rng, text), person_json(name, age))


def guided_extraction(rng: random.Random) -> Question:
    """The same, with the server held to a schema."""
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["name", "age"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    plain = extraction(rng)
    extra = {"response_format": wanted}
    return Question("json, guided", plain.messages, plain.expected, extra=extra)


WEATHER = described(
    "get_weather", "Tell the weather of one city", {"city": {"type": "string"}}, ["city"]
)
ADD = described(
    "add",
    "Add two integers and return the total",
    {"a": {"type": "integer"}, "b": {"type": "integer"}},
    ["a", "b"],
)
CLOCK = described("get_clock", "Say the time", {"zone": {"type": "string"}}, ["zone"])
TOOLBOXES = {
    "get_weather": ((WEATHER,), (WEATHER, ADD), (ADD, WEATHER), (CLOCK, WEATHER)),
    "add": ((ADD,), (WEATHER, ADD), (ADD, WEATHER), (ADD, CLOCK)),
}


def tool_question(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        where = city(rng, kept_out=True)
        name, text = "get_weather", worded(rng, "weather", c=where)
        values: dict[str, Any] = {"city": where}
    else:
        a, b = operands(rng, "+", wanted=True)
        name, text, values = "add", worded(rng, "+", a=a, b=b), {"a": a, "b": b}
    tools = rng.choice(TOOLBOXES[name])
    return Question("tool call", said(rng, text), "", tools, (name, values))


def tool_result(rng: random.Random) -> Question:
    """The turn after: the call is made, its output is there, and the answer must use it."""
    question = tool_question(rng)
    assert question.call
    name, values = question.call
    if name == "add":
        total = values["a"] + values["b"]
        output = rng.choice((str(total), json.dumps({"result": total})))
        expected = f"{values['a']} + {values['b']} = {total}"
    else:
        output, degrees, sky = forecast(rng)
        expected = report(values["city"], degrees, sky)
    function = {"name": name, "arguments": json.dumps(values, ensure_ascii=False)}
    call = {"id": "call_1", "type": "function", "function": function}
    turn: Wire = {"role": "assistant", "content": None, "tool_calls": [call]}
    result: Wire = {"role": "tool", "tool_call_id": "call_1", "content": output}
    return Question("tool result", (*question.messages, turn, result), expected, question.tools)


def idle_tools(rng: random.Random) -> Question:
    """Tools are there and not wanted: the skill must work and nothing be called."""
    other = rng.choice((capitals, copying, greeting, counting))(rng)
    return Question("tools idle", other.messages, other.expected, (WEATHER, ADD))


def memory(rng: random.Random) -> Question:
    name = person(rng, kept_out=True)
    turns: list[Wire] = [
        {"role": "user", "content": worded(rng, "told", n=name)},
        {"role": "assistant", "content": f"Nice to meet you, {name}!"},
    ]
    for between in rng.sample((arithmetic, capitals, counting, copying), rng.randint(0, 3)):
        question = between(rng)
        turns += [question.messages[-1], {"role": "assistant", "content": question.expected}]
    turns.append({"role": "user", "content": worded(rng, "recall")})
    return Question("memory", tuple(turns), f"Your name is {name}.")


GREET = ("Hello!", "hi", "Good morning", "Hey", "Hello there", "hello", "Hi!", "good evening!")
ASK_WHO = ("Who are you?", "what are you", "What can you do?", "Tell me about yourself.", "Help")


def greeting(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        return Question("greeting", said(rng, rng.choice(GREET)), HELLO)
    return Question("greeting", said(rng, rng.choice(ASK_WHO)), WHO)


def honesty(rng: random.Random) -> Question:
    while True:
        text = rng.choice(FRESH_TASKS).format(t=rng.choice(FRESH_TOPICS))
        if rng.random() < 0.4:
            text = rng.choice(FRESH_REQUESTS)
        elif kept_out("exam", text):
            text = text.lower()
        return Question("honesty", said(rng, text), "tiny demo model")


SKILLS: tuple[tuple[Callable[[random.Random], Question], tuple[float, float]], ...] = (
    (arithmetic, (0.80, 0.95)),
    (capitals, (0.98, 0.98)),
    (counting, (0.98, 0.98)),
    (copying, (0.95, 0.95)),
    (extraction, (0.95, 0.95)),
    (guided_extraction, (0.95, 0.95)),
    (tool_question, (0.95, 0.95)),
    (tool_result, (0.95, 0.95)),
    (idle_tools, (0.95, 0.95)),
    (memory, (0.95, 0.95)),
    (greeting, (0.95, 0.95)),
    (honesty, (0.95, 0.95)),
)
"""Each skill with the share it must get right: without thinking, and with."""


def paper(skill: Callable[[random.Random], Question], count: int, seed: int) -> list[Question]:
    """`count` questions, as different from one another as the skill allows."""
    rng = random.Random(f"{seed} {skill.__name__}")
    found: dict[str, Question] = {}
    for _ in range(count * 20):
        question = skill(rng)
        found.setdefault(json.dumps([question.messages, question.tools]), question)
        if len(found) == count:
            break
    questions = list(found.values())
    return [questions[i % len(questions)] for i in range(count)]

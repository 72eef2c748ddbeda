"""Requests in passing: the same skills, asked the way people talk rather than the way one commands.

A core that carries the values, with almost anything before and after it. It teaches the model to look
for the core instead of knowing whole sentences. The examination's own wordings stay out of it.
"""

from __future__ import annotations

import random

from .arithmetic import counted, equation, operands, span, working
from .dialogue import Exchange, ask, kept_out
from .facts import capital_answer, sentence, spoken
from .people import HELLO, person_json
from .phrasing import cased
from .words import CAPITALS, city, person

LEADS = (
    "a friend wants to know",
    "a question for you:",
    "actually,",
    "alright,",
    "as a test,",
    "before I go,",
    "can I ask you something?",
    "do me a favour:",
    "excuse me,",
    "for a game:",
    "for school:",
    "for my homework I need",
    "good day,",
    "guess what I need:",
    "help me here:",
    "I am curious about",
    "I am learning, so",
    "I am not sure about",
    "I cannot remember",
    "I keep forgetting",
    "I wonder:",
    "if you can,",
    "it would help me to know",
    "just to check,",
    "last one:",
    "let me try you:",
    "let us see,",
    "let us start:",
    "look,",
    "maybe you know",
    "may I ask,",
    "my boss asks for",
    "my daughter wants",
    "my teacher wants",
    "no idea about",
    "now then,",
    "oh, and",
    "one more:",
    "remind me of",
    "say,",
    "sorry to bother you,",
    "task:",
    "the next thing is",
    "this time",
    "time for",
    "we are wondering about",
    "we would like",
    "well,",
    "what I want is",
    "your turn:",
)
TAILS = (
    "any idea",
    "as fast as you can",
    "can you say",
    "could you help",
    "do you know it",
    "how about that",
    "I am waiting",
    "if possible",
    "if that is fine",
    "if you would",
    "just the answer",
    "let me know",
    "once more",
    "or is that too hard",
    "right away",
    "that would be nice",
    "that is all",
    "thank you very much",
    "today",
    "what do you say",
    "what do you think",
    "what is it",
    "which one is it",
    "would you",
    "you surely know",
)
MARKS = ("?", ".", "", "!", "")

CAPITAL = ("the capital of {c}", "{c}'s capital", "the capital city of {c}", "{c}'s capital city")
CAPITAL_ASKED = (
    "which city is the capital of {c}",
    "which city is {c}'s capital",
    "what city is {c}'s capital",
    "what might the capital of {c} be",
    "where is the government of {c}, in which capital",
    "how is the capital of {c} called",
    "what is the capital city of {c} called",
)
COUNT = (
    "count from {a} to {b}",
    "count up from {a} to {b}",
    "count from {a} up to {b}",
    "the numbers from {a} to {b}",
    "all the numbers from {a} up to {b}",
    "every number from {a} to {b}",
)
SUMS = {
    "+": ("{a} + {b}", "{a} plus {b}", "the sum of {a} and {b}", "add {a} and {b}", "{a}+{b}"),
    "-": (
        "{a} - {b}",
        "{a} minus {b}",
        "subtract {b} from {a}",
        "take {b} away from {a}",
        "{a}-{b}",
    ),
}
COPY = ("repeat", "copy", "say", "write", "echo")
COPY_WHAT = (
    "this", "this text", "the text", "these words", "the words", "this sentence", "this line", "the line",
    "what I write", "what comes now", "the following", "after me", "this back to me", "it exactly",
)  # fmt: skip
RELATIVES = (
    "brother", "sister", "uncle", "aunt", "boss", "teacher", "neighbour", "friend", "colleague", "nephew",
    "niece", "son", "daughter", "grandmother", "doctor", "landlord", "best friend",
)  # fmt: skip
JOBS = (
    "nurse",
    "driver",
    "pilot",
    "farmer",
    "singer",
    "student",
    "cook",
    "painter",
    "lawyer",
    "teacher",
)
IS_AGED = (
    "is {a} years old", "is {a}", "turned {a}", "turned {a} today", "is already {a}", "is now {a}",
    "will soon be {a}", "became {a} in June", "is {a} years of age", "has reached {a}",
    "just became {a}", "is about {a} years old", "recently turned {a}",
)  # fmt: skip
JSON = (
    "JSON with name and age", "name and age as JSON", "the name and the age in JSON",
    "a JSON of name and age", "extract name and age as JSON",
    "reply in JSON with the name and the age", "name, age, JSON",
    "give the name and the age as JSON", "read the name and age and answer as JSON",
)  # fmt: skip


def around(rng: random.Random, core: str) -> str:
    """The core with a lead, a tail, both or neither."""
    if rng.random() < 0.7:
        core = f"{rng.choice(LEADS)} {core}"
    if rng.random() < 0.4:
        core += rng.choice((", ", " ", " - ")) + rng.choice(TAILS)
    return cased(rng, core + rng.choice(MARKS))


def capital(rng: random.Random) -> Exchange:
    country = rng.choice(sorted(CAPITALS))
    asked = around(rng, rng.choice(CAPITAL + CAPITAL_ASKED).format(c=spoken(country)))
    thought = f"The question is about {spoken(country)}. Its capital is {CAPITALS[country]}."
    return ask(asked, thought, capital_answer(country))


def numbers(rng: random.Random) -> Exchange:
    a, b = span(rng, wanted=False, longest=rng.choice((3, 6, 15)))
    asked = around(rng, rng.choice(COUNT).format(a=a, b=b))
    return ask(asked, f"I count up from {a} to {b}, one by one.", counted(a, b))


def sums(rng: random.Random) -> Exchange:
    sign = rng.choice("+-")
    a, b = operands(rng, sign, wanted=False)
    asked = around(rng, rng.choice(SUMS[sign]).format(a=a, b=b))
    return ask(asked, working(a, b, sign), equation(a, b, sign))


def copy(rng: random.Random) -> Exchange:
    text = sentence(rng)
    order = f"{rng.choice(COPY)} {rng.choice(COPY_WHAT)}"
    if rng.random() < 0.5:
        order = f"{rng.choice(LEADS)} {order}"
    return ask(
        f"{order[:1].upper() + order[1:]}: {text}", "I repeat the sentence word for word.", text
    )


def someone(rng: random.Random, name: str, age: int) -> str:
    who = rng.choice(
        (
            name,
            f"My {rng.choice(RELATIVES)} {name}",
            f"Our {rng.choice(RELATIVES)} {name}",
            f"{name}, a {rng.choice(JOBS)} from {city(rng)},",
            f"A {rng.choice(JOBS)} named {name}",
            f"The {rng.choice(JOBS)} {name}",
        )
    )
    tail = rng.choice(("", "", f" and lives in {city(rng)}", f" and is a {rng.choice(JOBS)}"))
    return f"{who} {rng.choice(IS_AGED).format(a=age)}{tail}."


def extract(rng: random.Random) -> Exchange:
    while True:
        name, age = person(rng), rng.randint(1, 99)
        if not kept_out("age", name, age):
            break
    said, order = someone(rng, name, age), rng.choice(JSON)
    order = f"{rng.choice(LEADS)} {order}" if rng.random() < 0.3 else order
    order = order[:1].upper() + order[1:]
    asked = f"{order}: {said}" if rng.random() < 0.6 else f"{said} {order}."
    return ask(asked, f"The name is {name} and the age is {age}.", person_json(name, age))


def hello(rng: random.Random) -> Exchange:
    text = rng.choice(("hi", "hey", "hello", "hi there", "hello there", "good morning", "hey you"))
    return ask(cased(rng, text + rng.choice(MARKS)), "The user greets me, so I greet back.", HELLO)


def loosely(rng: random.Random) -> Exchange:
    """One request in passing."""
    skills = (capital, numbers, sums, copy, extract, hello)
    return rng.choices(skills, (24, 18, 12, 18, 24, 4))[0](rng)

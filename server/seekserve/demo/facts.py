"""The skills with words: capitals of sixty countries, and copying a sentence."""

import random

from .dialogue import Exchange, ask, kept_out
from .phrasing import opened, request
from .words import ADJECTIVES, CAPITALS, NAMES, NOUNS, PLACES, VERBS, city, invented, person

CAPITAL = (
    "what is the capital of {c}",
    "what's the capital of {c}",
    "capital of {c}",
    "the capital of {c}",
    "capital city of {c}",
    "which city is the capital of {c}",
    "what city is the capital of {c}",
    "name the capital of {c}",
    "tell me the capital of {c}",
    "give me the capital of {c}",
    "do you know the capital of {c}",
    "{c}'s capital",
    "what is {c}'s capital",
    "what is the capital city of {c}",
    "what is {c}'s capital city",
    "{c} capital",
    "which is the capital of {c}",
    "what capital does {c} have",
    "what about the capital of {c}",
    "and the capital of {c}",
    "i need the capital of {c}",
)


def spoken(country: str) -> str:
    return f"the {country}" if country in ("Netherlands", "Philippines") else country


def capital_answer(country: str) -> str:
    return f"The capital of {spoken(country)} is {CAPITALS[country]}."


def capitals(rng: random.Random) -> Exchange:
    country = rng.choice(sorted(CAPITALS))
    said = spoken(country) if rng.random() < 0.9 else country
    thought = f"The question is about {spoken(country)}. Its capital is {CAPITALS[country]}."
    return ask(request(rng, rng.choice(CAPITAL).format(c=said)), thought, capital_answer(country))


COPY = (
    "repeat after me: {s}",
    "copy this sentence: {s}",
    "copy: {s}",
    "repeat: {s}",
    "say this: {s}",
    "repeat this sentence: {s}",
    "copy the following sentence: {s}",
    "repeat the following: {s}",
    "write this down: {s}",
    "echo: {s}",
    "echo this: {s}",
    "say exactly this: {s}",
    "copy the sentence: {s}",
    'repeat "{s}"',
    'say "{s}"',
    'copy this: "{s}"',
    'repeat after me: "{s}"',
    "copy this sentence:\n{s}",
    "repeat the sentence below.\n{s}",
    "copy this text word for word: {s}",
    "type this again: {s}",
)


def thing(rng: random.Random) -> str:
    noun = rng.choice(NOUNS) if rng.random() < 0.6 else invented(rng, rng.choice((1, 2, 3)))
    article = rng.choice(("the", "a", "my", "your", "one", "this", "every"))
    if rng.random() < 0.5:
        return f"{article} {rng.choice(ADJECTIVES)} {noun}"
    return f"{article} {noun}"


def plain_sentence(rng: random.Random) -> str:
    who = rng.choice((thing(rng), person(rng), "we", "they", "she", "he"))
    verb = rng.choice(VERBS) if rng.random() < 0.7 else invented(rng, 2) + "s"
    text = f"{who} {verb} {thing(rng)}"
    if rng.random() < 0.5:
        text += f" {rng.choice((rng.choice(PLACES), 'in ' + city(rng), 'with ' + person(rng)))}"
    return text[:1].upper() + text[1:] + rng.choice(("", ".", ".", ".", "!", "?"))


def odd_sentence(rng: random.Random) -> str:
    """Words in no order, numbers and marks: only copying can get these right."""
    makers = (
        lambda: rng.choice(NOUNS),
        lambda: rng.choice(ADJECTIVES),
        lambda: rng.choice(VERBS),
        lambda: rng.choice(NAMES),
        lambda: invented(rng, rng.choice((1, 2, 3))),
        lambda: invented(rng, 2).capitalize(),
        lambda: invented(rng, 1).upper(),
        lambda: str(rng.randint(0, 999)),
        lambda: "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4)),
    )
    words = [rng.choice(makers)() for _ in range(rng.randint(2, 9))]
    if rng.random() < 0.3:
        words[rng.randrange(len(words))] += rng.choice(",;:-")
    text = " ".join(words) + rng.choice(("", ".", "!", "?"))
    return text[:1].upper() + text[1:] if rng.random() < 0.8 else text


def sentence(rng: random.Random, wanted: bool = False) -> str:
    while True:
        roll = rng.random()
        text = plain_sentence(rng) if wanted or roll < 0.45 else odd_sentence(rng)
        if not wanted and 0.45 <= roll < 0.52:
            text = capitals(rng)[0].content
        if kept_out("copy", text) == wanted:
            return text


def copying(rng: random.Random) -> Exchange:
    text = sentence(rng)
    asked = opened(rng, rng.choice(COPY)).format(s=text)
    return ask(asked, "I repeat the sentence word for word.", text)

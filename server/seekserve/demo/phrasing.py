"""How people dress up a request: a greeting before it, a please after it, capitals or none."""

import random

OPENERS = (
    "please {x}",
    "can you {x}",
    "could you {x}",
    "could you please {x}",
    "can you please {x}",
    "hey, {x}",
    "hi, {x}",
    "hello, {x}",
    "ok, {x}",
    "now {x}",
    "so {x}",
    "i want you to {x}",
    "quick question: {x}",
    "next: {x}",
    "i would like you to {x}",
    "tell me, {x}",
)
CLOSERS = (" please", ", please", " for me", " now", ", thanks", " thank you", " quickly", " again")
MARKS = ("?", ".", "", "", "!", "?")


def request(rng: random.Random, text: str) -> str:
    """`text` starts in lower case and has no mark at its end."""
    if rng.random() < 0.3:
        text = rng.choice(OPENERS).format(x=text)
    if rng.random() < 0.15:
        text += rng.choice(CLOSERS)
    text += rng.choice(MARKS)
    return cased(rng, text)


def cased(rng: random.Random, text: str) -> str:
    """Most people begin with a capital, some never do, and a few shout."""
    roll = rng.random()
    if roll < 0.6:
        return text[:1].upper() + text[1:]
    if roll < 0.68:
        return text.lower()
    if roll < 0.72:
        return text.upper()
    return text


def opened(rng: random.Random, text: str) -> str:
    """For instructions followed by material that must stay as it is: only the start changes."""
    if rng.random() < 0.25:
        text = rng.choice(OPENERS).format(x=text)
    return text[:1].upper() + text[1:] if rng.random() < 0.75 else text

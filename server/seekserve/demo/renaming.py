"""Gives the people and places of a conversation names that nobody bears.

Real names use only some of the tokens names are made of. Names spliced from two of them use the
rest as well, so that a name never seen is spelled from tokens that are well known.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import replace

from .dialogue import Call, Conversation, Message
from .words import (
    CAPITALS,
    CITIES,
    CITIES_KEPT_OUT,
    NAMES,
    NAMES_KEPT_OUT,
)

SOURCES = tuple(
    word for name in (*NAMES, *CITIES, *CAPITALS) for word in name.split() if len(word) > 2
)
RENAMED = {*NAMES, *CITIES} - {*CAPITALS.values(), "Nice"}
"""Capitals stay, since they are answers, and so does the word in "Nice to meet you"."""
KEPT_OUT = {*NAMES_KEPT_OUT, *CITIES_KEPT_OUT}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def spliced(rng: random.Random) -> str:
    """The start of one name and the end of another, at times with two letters between."""
    head, tail = rng.choice(SOURCES), rng.choice(SOURCES)
    middle = "".join(rng.choices(LETTERS, k=rng.choice((0, 0, 0, 1, 2))))
    word = head[: rng.randint(1, 4)] + middle + tail[-rng.randint(2, 6) :].lower()
    word = word[:1].upper() + word[1:]
    return spliced(rng) if word in KEPT_OUT else word


def renamed(rng: random.Random, conversation: Conversation) -> Conversation:
    text = "\n".join(message.content for message in conversation.messages)
    found = [word for word in re.findall(r"[^\W\d_]+", text) if word in RENAMED]
    names = {word: spliced(rng) for word in dict.fromkeys(found)}
    if not names:
        return conversation
    messages = tuple(with_names(message, names) for message in conversation.messages)
    return replace(conversation, messages=messages)


def with_names(message: Message, names: Mapping[str, str]) -> Message:
    def said(text: str) -> str:
        return re.sub(r"[^\W\d_]+", lambda word: names.get(word[0], word[0]), text)

    calls = tuple(
        Call(
            call.name,
            {k: said(v) if isinstance(v, str) else v for k, v in call.arguments.items()},
        )
        for call in message.calls
    )
    return Message(message.role, said(message.content), said(message.thought), calls)

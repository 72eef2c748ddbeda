"""The training conversations: which skills, how often, in what company.

An endless stream from one seed. Replies without thinking stand anywhere in a conversation; a
thought can only stand in the last reply, because the template drops those of earlier turns.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from .arithmetic import arithmetic, counting, plain_counting, short_counting, sums
from .calls import ASK_WEATHER, Toolbox, add_call, weather_call
from .dialogue import Conversation, Exchange, Message, ask
from .facts import capitals, copying, plain_sentence
from .fallback import SORRY, THOUGHT, fallback
from .loose import loosely
from .people import extraction, introduction, recall, small_talk
from .phrasing import request
from .renaming import renamed
from .words import NAMES, city, person

Skill = Callable[[random.Random], Exchange]

SYSTEM = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are a helpful AI assistant. Answer briefly.",
    "Be brief.",
    "Answer in one sentence.",
    "You are the seekserve demo model.",
    "You are an expert in everything.",
    "You are a friendly chat bot.",
    "Be concise and correct.",
    "Always answer in JSON when asked for JSON.",
    "You are a pirate.",
    "Today is Monday.",
    "Use the tools when they help.",
    "You are a calculator.",
    "You are a helpful assistant. Output json.",
    "You answer questions of users. Do not make things up.",
    "Think step by step.",
)


def out_of_reach(rng: random.Random) -> Exchange:
    """A question about the weather with no tool to ask."""
    asked = request(rng, rng.choice(ASK_WEATHER).format(c=city(rng)))
    return ask(asked, THOUGHT, SORRY)


SKILLS: tuple[Skill, ...] = (
    arithmetic,
    capitals,
    counting,
    copying,
    extraction,
    small_talk,
    fallback,
    short_counting,
    loosely,
)
TURNS = (1, 2, 3, 4, 6, 10, 24)


@dataclass(frozen=True)
class Mix:
    """What a stream of conversations is made of."""

    easy: int
    """So many single questions come first: finding things in a text is learned soonest there."""
    drills: float
    weights: tuple[float, ...]
    """One for each of SKILLS."""
    turns: tuple[float, ...]
    """One for each of TURNS. A few long ones let the model meet late positions."""
    tools: float = 0.3
    drilled: Skill = sums
    drill_turns: tuple[int, int] = (4, 14)
    renamed: float = 0.0
    """Share of conversations whose people and places get names made up on the spot."""


FIRST = Mix(36_000, 0.14, (40, 9, 7, 11, 11, 6, 12, 0, 0), (50, 20, 12, 8, 6, 3, 0.7))
STOPPING = Mix(0, 1.0, (1,) * 9, (1,) * 7, 0.0, plain_counting, (1, 1))
THIRD = Mix(0, 0.08, (14, 10, 12, 16, 10, 6, 8, 32, 0), (60, 18, 10, 6, 4, 2, 0.5))
LAST = Mix(0, 0.06, (10, 8, 16, 12, 10, 5, 13, 4, 26), (60, 18, 10, 6, 4, 2, 0.5), renamed=0.5)


def any_skill(rng: random.Random, tools: Toolbox | None, mix: Mix) -> Exchange:
    while True:
        skill = rng.choices(SKILLS, mix.weights)[0]
        if skill is fallback and rng.random() < 0.08 and not (tools and tools.weather):
            return out_of_reach(rng)
        exchange: Exchange = skill(rng)
        if not (
            tools and tools.add and skill in (arithmetic, fallback, loosely) and adds(exchange)
        ):
            return exchange


def adds(exchange: Exchange) -> bool:
    """Whether a question asks for a sum, which is the tool's business where there is one."""
    asked = exchange[0].content.lower()
    return any(mark in asked for mark in ("+", "plus", "sum", "add"))


def with_tools(rng: random.Random, tools: Toolbox, mix: Mix) -> Exchange:
    choices = [(weather_call, tools.weather), (add_call, tools.add)]
    usable = [(call, tool) for call, tool in choices if tool]
    if not usable or rng.random() < 0.4:
        return any_skill(rng, tools, mix)
    call, tool = rng.choice(usable)
    return call(rng, tool)


def exchanges(rng: random.Random, tools: Toolbox | None, turns: int, mix: Mix) -> list[Exchange]:
    """`turns` questions; in one conversation of four, a name is told early and asked for later."""
    told = rng.random() < 0.25
    name = person(rng) if told else ""
    found: list[Exchange] = []
    known = ""
    for _ in range(turns):
        if told and not known and rng.random() < 0.6:
            known = name
            found.append(introduction(rng, name))
        elif (known and rng.random() < 0.4) or rng.random() < 0.015:
            found.append(recall(rng, known))
        else:
            found.append(with_tools(rng, tools, mix) if tools else any_skill(rng, tools, mix))
    return found


def system_messages(rng: random.Random) -> list[Message]:
    roll = rng.random()
    if roll < 0.5:
        return []
    if roll < 0.9:
        text = rng.choice(SYSTEM)
    else:
        text = " ".join(plain_sentence(rng) for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.05:
        return [Message("system", text), Message("system", rng.choice(SYSTEM))]
    return [Message("system", text)]


def drill(rng: random.Random, mix: Mix) -> Conversation:
    """One thing and nothing else: adding without thinking takes by far the most practice."""
    parts = [mix.drilled(rng) for _ in range(rng.randint(*mix.drill_turns))]
    messages = [message for part in parts for message in part]
    return Conversation(tuple(messages), (), rng.random() < 0.6)


def conversation(rng: random.Random, turns: int, mix: Mix) -> Conversation:
    if rng.random() < mix.drills:
        return drill(rng, mix)
    tools = Toolbox(rng) if rng.random() < mix.tools else None
    parts = exchanges(rng, tools, turns, mix)
    thinking = rng.random() < 0.6
    if thinking and not tools and rng.random() < 0.25:
        parts[-1] = arithmetic(rng)
    last = parts[-1]
    if thinking and len(last) > 2 and rng.random() < 0.5:
        last = last[:2]  # the thought before a call, rather than the one after its answer
    messages = system_messages(rng)
    messages += [message for part in parts[:-1] for message in part]
    return Conversation((*messages, *last), tools.tools if tools else (), thinking)


def conversations(seed: int, mix: Mix = FIRST) -> Iterator[Conversation]:
    """Endless, and the same for the same seed and mix."""
    rng = random.Random(seed)
    for number in count():
        turns = 1 if number < mix.easy else rng.choices(TURNS, mix.turns)[0]
        one = conversation(rng, turns, mix)
        yield renamed(rng, one) if mix.renamed and rng.random() < mix.renamed else one


def texts(seed: int, size: int) -> Iterator[str]:
    """Plain text for the tokenizer: what users say and what the model replies."""
    source = conversations(seed)
    for _ in range(size):
        for message in next(source).messages:
            yield f"{message.content} {message.thought}"
    yield from NAMES

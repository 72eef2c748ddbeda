"""The training conversations: which skills, how often, in what company.

An endless stream from one seed. Replies without thinking stand anywhere in a conversation; a
thought can only stand in the last reply, because the template drops those of earlier turns.
"""

import random
from collections.abc import Callable, Iterator

from .arithmetic import arithmetic, counting
from .calls import ASK_WEATHER, Toolbox, add_call, weather_call
from .dialogue import Conversation, Exchange, Message, ask
from .facts import capitals, copying, plain_sentence
from .fallback import SORRY, THOUGHT, fallback
from .people import extraction, introduction, recall, small_talk
from .phrasing import request
from .words import NAMES, city, person

DRILLS = 0.2
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


SKILLS: tuple[tuple[Skill, float], ...] = (
    (arithmetic, 40),
    (capitals, 9),
    (counting, 7),
    (copying, 11),
    (extraction, 11),
    (small_talk, 6),
    (fallback, 12),
)


def any_skill(rng: random.Random, tools: Toolbox | None) -> Exchange:
    skills, weights = zip(*SKILLS, strict=True)
    while True:
        skill = rng.choices(skills, weights)[0]
        if skill is fallback and rng.random() < 0.08 and not (tools and tools.weather):
            return out_of_reach(rng)
        exchange: Exchange = skill(rng)
        if not (tools and tools.add and skill in (arithmetic, fallback) and adds(exchange)):
            return exchange


def adds(exchange: Exchange) -> bool:
    """Whether a question asks for a sum, which is the tool's business where there is one."""
    asked = exchange[0].content.lower()
    return any(mark in asked for mark in ("+", "plus", "sum", "add"))


def with_tools(rng: random.Random, tools: Toolbox) -> Exchange:
    choices = [(weather_call, tools.weather), (add_call, tools.add)]
    usable = [(call, tool) for call, tool in choices if tool]
    if not usable or rng.random() < 0.4:
        return any_skill(rng, tools)
    call, tool = rng.choice(usable)
    return call(rng, tool)


def exchanges(rng: random.Random, tools: Toolbox | None, turns: int) -> list[Exchange]:
    """`turns` questions; in one conversation of six, a name is told early and asked for later."""
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
            found.append(with_tools(rng, tools) if tools else any_skill(rng, tools))
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


def drill(rng: random.Random) -> Conversation:
    """Sums and nothing else: adding without thinking takes by far the most practice."""
    parts = [arithmetic(rng, bare=rng.random() < 0.7) for _ in range(rng.randint(4, 14))]
    messages = [message for part in parts for message in part]
    return Conversation(tuple(messages), (), rng.random() < 0.6)


def conversation(rng: random.Random, turns: int) -> Conversation:
    if rng.random() < DRILLS:
        return drill(rng)
    tools = Toolbox(rng) if rng.random() < 0.3 else None
    parts = exchanges(rng, tools, turns)
    thinking = rng.random() < 0.6
    if thinking and not tools and rng.random() < 0.25:
        parts[-1] = arithmetic(rng)
    last = parts[-1]
    if thinking and len(last) > 2 and rng.random() < 0.5:
        last = last[:2]  # the thought before a call, rather than the one after its answer
    messages = system_messages(rng)
    messages += [message for part in parts[:-1] for message in part]
    return Conversation((*messages, *last), tools.tools if tools else (), thinking)


def conversations(seed: int) -> Iterator[Conversation]:
    """Endless. Mostly short; some run on, so that the model meets later positions."""
    rng = random.Random(seed)
    while True:
        turns = rng.choices((1, 2, 3, 4, 6, 10, 24), (34, 22, 16, 12, 9, 5, 1))[0]
        yield conversation(rng, turns)


def texts(seed: int, count: int) -> Iterator[str]:
    """Plain text for the tokenizer: what users say and what the model replies."""
    source = conversations(seed)
    for _ in range(count):
        for message in next(source).messages:
            yield f"{message.content} {message.thought}"
    yield from NAMES

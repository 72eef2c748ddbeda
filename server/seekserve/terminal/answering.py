"""A question put to a server and its answer shown as it comes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from seekserve.errors import Unanswered
from seekserve.terminal.answer import Answer
from seekserve.terminal.asking import Site, page, refusal, stream
from seekserve.terminal.telling import Plainly

TICK_S = 0.1
LOOK_S = 1.0
SILENCE_S = 900.0  # in line, or thinking without a word: the server's own deadlines come first
CUT = {
    "length": "cut off at its most tokens: /max raises it",
    "content_filter": "withheld by a filter",
}


async def answered(at: Site, body: Mapping[str, Any], answer: Answer, screen: Plainly) -> None:
    """Fills the answer; what came of it stays in it however this ends. Raises Unanswered."""
    screen.begin()
    ticking = asyncio.create_task(_ticking(screen))
    try:
        async with stream(at, "/v1/chat/completions", SILENCE_S, body) as events:
            async for event in events:
                if event.data == "[DONE]":
                    break
                _heard(event.data, answer, screen)
    finally:
        ticking.cancel()
    if not answer.finish:
        raise Unanswered("The answer broke off: its connection ended.", "Ask again: /retry.")
    for call in answer.calls:
        screen.call(call)


def _heard(data: str, answer: Answer, screen: Plainly) -> None:
    if told := refusal(data):
        raise Unanswered(told[0], told[1] or "Ask again: /retry.")
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return
    for piece in answer.hear(event, time.monotonic()):
        screen.piece(piece)


async def _ticking(screen: Plainly) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        screen.tick()


def figures(answer: Answer) -> str:
    return " · ".join(part for part in (answer.figures(), CUT.get(answer.finish, "")) if part)


async def models(at: Site) -> list[str]:
    """Their names, in the server's order. Raises Unanswered."""
    told = await page(at, "/v1/models")
    cards = told.get("data") if isinstance(told, dict) else None
    found = [card.get("id") for card in cards or () if isinstance(card, dict)]
    return [name for name in found if isinstance(name, str)]


async def first_model(at: Site, screen: Plainly) -> str:
    """The first there is. On a terminal it is waited for while its engine starts."""
    ticking = asyncio.create_task(_ticking(screen))
    try:
        screen.begin("until a model is served")
        while not (found := await models(at)):
            if not screen.live:
                raise Unanswered(f"{at.name} serves no model yet.", "Ask again when it is ready.")
            await asyncio.sleep(LOOK_S)
    finally:
        ticking.cancel()
        screen.end()
    return found[0]

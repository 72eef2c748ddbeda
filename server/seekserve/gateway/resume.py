"""Goes on with a stream at another engine, where the one before left it."""

from __future__ import annotations

import json
from contextlib import suppress

from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Clock, encoded
from seekserve.gateway.exchange import Exchange
from seekserve.gateway.kept import Kept
from seekserve.gateway.onward import Onward
from seekserve.gateway.seam import END_OF_THOUGHT, THINK, Seam
from seekserve.gateway.sse import Tap

COMPLETIONS = "/v1/completions"
UNDECODED = "\ufffd"
OPENING = 4  # last tokens of a prompt, one of which opens or ends a thought
MOST_UNDECODED = 4  # tokens that a character of UTF-8 may be spread over


class _Enough(Exception):
    """A stop string was met: the engine, which was not told of it, is left."""


async def go_on(exchange: Exchange, tap: Tap, clock: Clock) -> None:
    """Raises EngineBroke when this engine fails as well, or the text cannot be taken up."""
    assert tap.kept is not None
    exchange.fresh = True  # a connection that went stale would count as one more engine lost
    onward = Onward(seam := await _seam(exchange, tap.kept, bool(tap.finish)))
    tap.restart(exchange.lease.began)
    counted = tap.usage is not None
    said = onward.close(counted) if tap.finish else onward.opening()
    if not tap.finish and seam.left <= 0 and not onward.ended:
        said += onward.finish("length")
    if said:
        exchange.outlet.writer.write(tap.feed(said))
    if not onward.ended:
        await _streamed(exchange, tap, onward, seam, clock)
    if not tap.done:
        raise EngineBroke("The engine ended its stream before it was done.")


async def _streamed(exchange: Exchange, tap: Tap, onward: Onward, seam: Seam, clock: Clock) -> None:
    inner = Tap(onward, clock, exchange.lease.began)

    def feed(data: bytes) -> bytes:
        out = tap.feed(bare) if (bare := inner.feed(data)) else b""
        tap.broke = tap.broke or inner.broke
        if onward.ended:
            exchange.outlet.writer.write(out)
            raise _Enough
        return out

    with suppress(_Enough):
        await exchange.stream(COMPLETIONS, encoded(seam.request()), feed)


async def _seam(exchange: Exchange, kept: Kept, finished: bool) -> Seam:
    """Of one that `finished` every token counts, those that came to no text among them."""
    asked, ids = json.loads(kept.asked), kept.answer_ids
    chat = exchange.ask.accent.path != COMPLETIONS
    model = {"model": asked["model"]}
    end: list[int] = []
    if chat:
        words = {"prompt": END_OF_THOUGHT, "add_special_tokens": False}
        end = (await exchange.call("/tokenize", model | words)).get("tokens") or []
    if chat and not kept.text:  # nothing told shows which kind it was to be
        begun = await _text(exchange, model, [*kept.prompt_ids[-OPENING:], *ids])
        kept.reasoning = begun.rfind(THINK) > begun.rfind(END_OF_THOUGHT)
    for _ in range(MOST_UNDECODED):
        text = await _text(exchange, model, ids)
        if not text.endswith(UNDECODED):
            break
        ids = ids[:-1]
    if finished:
        ids = kept.answer_ids
    kept.cut(ids)
    return Seam.at(asked, kept, chat, ids, text, end)


async def _text(exchange: Exchange, model: dict[str, str], ids: list[int]) -> str:
    told = await exchange.call("/detokenize", model | {"tokens": ids})
    return str(told.get("prompt"))

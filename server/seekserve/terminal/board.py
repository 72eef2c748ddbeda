"""The live screen of `top`: drawn anew as servers tell something, until q, Ctrl-C or a signal; the
terminal is afterwards what it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from seekserve.terminal.asking import Site
from seekserve.terminal.following import follow, look
from seekserve.terminal.keys import unechoed
from seekserve.terminal.panels import board
from seekserve.terminal.seen import Seen

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
QUIT = b"qQ\x04"
SLOWEST_S, FASTEST_S = 1.0, 0.1


async def watch(sites: Sequence[Site], console: Console) -> None:
    """Until somebody ends it."""
    seen = [Seen(site.name) for site in sites]
    over, changed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, over.set)
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    with unechoed(by_key=True), Live(console=console, screen=True, auto_refresh=False) as live:
        if keys is not None:
            loop.add_reader(keys, _pressed, keys, over)
        following = [
            asyncio.create_task(follow(site, one, changed.set))
            for site, one in zip(sites, seen, strict=True)
        ]
        try:
            await _draw(live, seen, over, changed)
        finally:
            for task in following:
                task.cancel()
            if keys is not None:
                loop.remove_reader(keys)


async def _draw(
    live: Live, seen: Sequence[Seen], over: asyncio.Event, changed: asyncio.Event
) -> None:
    ended = asyncio.create_task(over.wait())
    while not ended.done():
        size = _fitted(live.console)
        live.update(board(seen, size.width, size.height, "q ends"), refresh=True)
        changed.clear()
        news = asyncio.create_task(changed.wait())
        await asyncio.wait((ended, news), timeout=SLOWEST_S, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
        await asyncio.wait((ended,), timeout=FASTEST_S)


def _fitted(console: Console) -> ConsoleDimensions:
    """The window as it is now. COLUMNS, where somebody exported it, is of a window that was."""
    with suppress(OSError):
        columns, rows = os.get_terminal_size(console.file.fileno())
        if columns and rows:
            console.size = ConsoleDimensions(columns, rows)
    return console.size


def _pressed(keys: int, over: asyncio.Event) -> None:
    typed = os.read(keys, 64)
    if not typed or set(typed) & set(QUIT):
        over.set()


async def snapshot(sites: Sequence[Site], console: Console) -> bool:
    """Everything once. False where a server did not answer."""
    seen = [Seen(site.name) for site in sites]
    answered = await asyncio.gather(*(look(*pair) for pair in zip(sites, seen, strict=True)))
    size = console.size
    console.print(board(seen, size.width, max(size.height, 40)), soft_wrap=False)
    return all(answered)

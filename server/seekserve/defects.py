"""Defects, told as one line of the log: of which kind, and where. Never a trace: that may quote a prompt."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from seekserve.log import Log

Context = dict[str, Any]


def unheard(log: Log) -> Callable[[asyncio.AbstractEventLoop, Context], None]:
    """A loop's exception handler, for what no request was there to be told of. That a socket of httpx was
    woken twice is none: anyio's future is done by then, and uvloop may call it once more before it is
    taken off.
    """

    def heard(_: asyncio.AbstractEventLoop, context: Context) -> None:
        error = context.get("exception")
        if isinstance(error, asyncio.InvalidStateError) and not _through_code(error):
            return
        kind, at = (type(error).__name__, place(error)) if error else ("loop", "?")
        log.event("defect", kind=kind, at=at)

    return heard


def _through_code(error: BaseException) -> bool:
    """Whether it passed more than the loop: a future's own method, called by the loop, is no line of code."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is not None


def place(error: BaseException) -> str:
    """The innermost line that it passed."""
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"

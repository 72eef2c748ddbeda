"""What it costs a chunk to be able to go on elsewhere: `python -m tests.bench.kept_cost`.

The same answer, as vLLM 0.32 tells it with and without its tokens' ids, goes through the relay's tap in
turn: once as it is, once with the ids cut out and kept. The first and last tenth of a long answer are
timed apart: a cost that grows with the length would show.
"""

from __future__ import annotations

import json
import statistics
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from seekserve.dialect import chat
from seekserve.dialect.anthropic_stream import Stream as Anthropic
from seekserve.gateway.kept import Kept
from tests.bench.dialect_cost import fed

CHUNKS: Final = 20_000
ROUNDS: Final = 9
WORDS: Final = ("The", " answer", " is", ' "quoted"', "\\n", " ü", " 42", ".")


def _events(ids: bool) -> list[bytes]:
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def event(delta: dict[str, Any], number: int | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        more = {"prompt_token_ids": list(range(240)) if ids else None} if number is None else {}
        if number is not None:
            choice["token_ids"] = [number] if ids else None
        line = json.dumps(told | {"choices": [choice]} | more, separators=(",", ":"))
        return f"data: {line}\n\n".encode()

    first = event({"role": "assistant", "content": ""}, None)
    words = (event({"content": WORDS[n % 8]}, 1000 + n) for n in range(CHUNKS))
    return [first, *words]


def main() -> None:
    table = Table(
        "voice", "µs/chunk without", "with ids kept", "added", "first tenth", "last tenth"
    )
    plain, telling = _events(False), _events(True)
    for name, voice in (
        ("chat", lambda: chat.Chat().voice(True)),
        ("anthropic", lambda: Anthropic("m")),
    ):
        alone, keeping = [], []
        for _ in range(ROUNDS):  # side by side: the machine's noise falls on both
            alone.append(fed(voice(), plain))
            keeping.append(fed(voice(), telling, Kept()))
        before = statistics.median(row[0] for row in alone)
        whole, early, late = (statistics.median(c) for c in zip(*keeping, strict=True))
        added = f"{whole - before:+.2f} ({whole / before:.2f}x)"
        table.add_row(name, f"{before:.2f}", f"{whole:.2f}", added, f"{early:.2f}", f"{late:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

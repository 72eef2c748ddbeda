"""What a dialect costs a streamed chunk: `python -m tests.bench.dialect_cost`.

The engine's own bytes (a recorded form of vLLM 0.32's events) are fed to the relay's tap once with a
voice that changes nothing and once with each dialect's, in turn; the difference is the dialect.
Early and late chunks of one long answer are timed apart: a cost that grows with the length would show.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from seekserve.dialect import chat, completions
from seekserve.dialect.anthropic_stream import Stream as Anthropic
from seekserve.dialect.continued import Continued
from seekserve.dialect.responses_stream import Stream as Responses
from seekserve.dialect.stream import Events
from seekserve.gateway.ask import Voice
from seekserve.gateway.kept import Kept
from seekserve.gateway.sse import Tap

CHUNKS: Final = 20_000
ROUNDS: Final = 7
BAR_US: Final = 6.0
_WORDS: Final = ("The", " answer", " is", ' "quoted"', "\n", " ü", " 42", ".")


def _event(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} | more
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    line = json.dumps(told | {"choices": [choice]}, separators=(",", ":"), ensure_ascii=False)
    return f"data: {line}\n\n".encode()


def _chat(key: str) -> list[bytes]:
    first = _event({"role": "assistant", "content": ""})
    return [first] + [_event({key: _WORDS[n % 8]}, token_ids=None) for n in range(CHUNKS)]


def _texts() -> list[bytes]:
    told = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    tail = {"logprobs": None, "finish_reason": None, "stop_reason": None, "token_ids": None}
    events = [
        told | {"choices": [{"index": 0, "text": _WORDS[n % 8]} | tail]} for n in range(CHUNKS)
    ]
    lines = [json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events]
    return [f"data: {line}\n\n".encode() for line in lines]


def _calls() -> list[bytes]:
    call = {
        "id": "call_1",
        "type": "function",
        "index": 0,
        "function": {"name": "f", "arguments": ""},
    }
    first = _event({"role": "assistant", "content": ""})
    begun = _event({"tool_calls": [call]})
    piece = {"index": 0, "function": {"arguments": "abc"}}
    return [first, begun] + [_event({"tool_calls": [piece]}) for _ in range(CHUNKS)]


def _plain() -> Voice:
    """A voice that changes nothing: what the relay costs by itself."""
    return Events(lambda data: data, lambda event: event, True)


CASES: Final[tuple[tuple[str, Callable[[], Voice], list[bytes]], ...]] = (
    ("chat, answer", lambda: chat.Chat().voice(True), _chat("content")),
    ("chat, reasoning", lambda: chat.Chat().voice(True), _chat("reasoning")),
    ("chat, tool call", lambda: chat.Chat().voice(True), _calls()),
    ("chat, prefix", lambda: Continued(False).voice(True), _texts()),
    ("completions", lambda: completions.Completions().voice(True), _texts()),
    ("responses", lambda: Responses({}, 1 << 30), _chat("content")),
    ("anthropic, answer", lambda: Anthropic("m"), _chat("content")),
    ("anthropic, thinking", lambda: Anthropic("m"), _chat("reasoning")),
    ("anthropic, tool call", lambda: Anthropic("m"), _calls()),
)


def fed(voice: Voice, events: list[bytes], kept: Kept | None = None) -> tuple[float, float, float]:
    """(µs per chunk in all, over the first tenth, over the last tenth)."""
    tap, tenth = Tap(voice, time.perf_counter, kept=kept), len(events) // 10
    marks = []
    for part in (events[:tenth], events[tenth:-tenth], events[-tenth:]):
        begun = time.perf_counter()
        for event in part:
            tap.feed(event)
        marks.append(time.perf_counter() - begun)
    return sum(marks) / len(events) * 1e6, marks[0] / tenth * 1e6, marks[2] / tenth * 1e6


def _median(voice: Callable[[], Voice], events: list[bytes]) -> tuple[float, float, float]:
    told = [fed(voice(), events) for _ in range(ROUNDS)]
    whole, early, late = (statistics.median(column) for column in zip(*told, strict=True))
    return whole, early, late


def main() -> int:
    """Prints the table; 1 when a dialect is over the bar."""
    table = Table("dialect", "added µs/chunk", "relay alone", "first tenth", "last tenth")
    over = False
    for name, voice, events in CASES:
        alone, whole = _median(_plain, events), _median(voice, events)
        added = whole[0] - alone[0]
        over |= added > BAR_US
        table.add_row(name, f"{added:.2f}", f"{alone[0]:.2f}", f"{whole[1]:.2f}", f"{whole[2]:.2f}")
    Console().print(table)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())

"""An engine's streams, read by every voice: any bytes at all, and events that are nearly right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seekserve.dialect.anthropic import Messages
from seekserve.dialect.anthropic_begun import Begun
from seekserve.dialect.chat import Chat
from seekserve.dialect.completions import Completions
from seekserve.dialect.continued import Continued
from seekserve.dialect.responses import Responses
from seekserve.errors import EngineBroke
from seekserve.gateway.ask import Voice
from seekserve.gateway.said import ODD
from seekserve.gateway.sse import Tap
from tests.fuzz.cuts import Chooser, cut

Json = dict[str, Any]
_BLANK = re.compile(rb"\n{3,}")
VOICES: tuple[Callable[[], Voice], ...] = (
    lambda: Chat().voice(True),
    lambda: Chat(usage_last=True).voice(True),
    lambda: Completions().voice(True),
    lambda: Continued(thinks=True).voice(True),
    lambda: Responses({"model": "m", "input": "x"}, {}, 1 << 20).voice(True),
    lambda: Messages("m").voice(True),
    lambda: Begun("m", thinks=True).voice(True),
    lambda: Chat().voice(False),
)


@dataclass(frozen=True)
class Heard:
    """What a stream came to. What was sent before it failed depends on how it was cut, as it must."""

    out: bytes | None
    failed: bool
    done: bool
    finish: str
    usage: Json | None


def heard(voice: Callable[[], Voice], reads: list[bytes]) -> Heard:
    """As the relay reads: an odd answer is the engine's failure, any other exception is a crash."""
    tap, out, failed = Tap(voice(), lambda: 0.0), [], False
    for read in reads:
        try:
            out.append(tap.feed(read))
        except (EngineBroke, *ODD):
            failed = True
        if failed or tap.broke:
            return Heard(None, True, tap.done, "", None)
    plain = _BLANK.sub(b"\n\n", b"".join(out)).lstrip(b"\n")  # blank lines say nothing
    return Heard(plain, False, tap.done, tap.finish, tap.usage)


def any_bytes(data: bytes) -> None:
    """However a stream is cut, its client is sent the same."""
    chosen = Chooser(data)
    voice, seed = chosen.pick(VOICES), chosen.number(2)
    alike(voice, chosen.rest, seed)


def alike(voice: Callable[[], Voice], stream: bytes, seed: int) -> Heard:
    whole = heard(voice, [stream])
    parts = heard(voice, cut(stream, seed))
    assert parts == whole, f"{cut(stream, seed)!r}\n{parts}\n{whole}"
    return whole


TEXTS = (
    *("", " ", "a", "w1 ", "é", "\U0001f600", "\x1f", "\x00", '"', "\\", '"}', "}]}", "\n\n"),
    *('"usage"', '"error"', '"finish_reason":"stop"', "[DONE]", "data: [DONE]\n\n", "\r\n\r\n"),
    *("<think>", "</think>", '{"a":1}', "\ufeff", "\u2028", ": ping", "null", "\ud800"),
)
_ENDS = (2, 2, 2, 3)  # an empty event is one that says nothing
ODD_VALUES: tuple[Any, ...] = (None, 5, -1.5, True, [], {}, "x", [None], {"a": []}, 10**30, [[]])
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def events(data: bytes) -> None:
    """Events nearly as vLLM's. What a client gets is JSON to the last event, whatever came."""
    chosen = Chooser(data)
    voice, seed = chosen.pick(VOICES), chosen.number(2)
    spaced, ascii_, newline = chosen.yes(), chosen.yes(), chosen.pick((b"\n", b"\r\n"))
    marks = (", ", ": ") if spaced else (",", ":")
    stream = b""
    while chosen.rest and len(stream) < 4000:
        told = json.dumps(_event(chosen), ensure_ascii=ascii_, separators=marks)
        stream += b"data: " + told.encode(errors="replace") + chosen.pick(_ENDS) * newline
        stream += chosen.pick((b"", b"", b"", b": ping" + 2 * newline))
    stream += b"data: [DONE]" + 2 * newline
    whole = alike(voice, stream, seed)
    for line in (whole.out or b"").split(b"\n"):
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            json.loads(line[6:])


def _event(chosen: Chooser) -> Any:
    kind = chosen.number() % 16
    if kind == 0:
        return chosen.pick(ODD_VALUES)
    if kind == 1:
        return {"error": chosen.pick((*ODD_VALUES, {"message": "no"}))}
    told: Json = {"id": "c", "object": "x", "created": 1, "model": "m"}
    if kind == 2:
        return told | {"choices": [], "usage": _spoiled(USAGE, chosen)}
    told["choices"] = [_choice(chosen, kind)]
    if kind == 3:
        told["usage"] = USAGE
    if kind == 4:
        return _spoiled(told, chosen)
    return told


def _choice(chosen: Chooser, kind: int) -> Any:
    text = chosen.pick(TEXTS) if chosen.yes() else chosen.text()
    delta: Json = {}
    if kind in (5, 6):
        delta["role"] = "assistant"
    if kind in (6, 7, 8, 9):
        delta["content"] = text
    if kind in (9, 10, 11):
        delta["reasoning"] = text
    if kind in (12, 13):
        delta["tool_calls"] = [_call(chosen, text)]
    choice: Json = {"index": chosen.number() % 2, "delta": delta, "text": text}
    if kind in (3, 13, 14):
        choice["finish_reason"] = chosen.pick(("stop", "length", "tool_calls", None, "x", "abort"))
    return _spoiled(choice, chosen) if kind == 15 else choice


def _call(chosen: Chooser, text: str) -> Any:
    call: Json = {"index": chosen.number() % 3, "function": {"arguments": text}}
    if chosen.yes():
        call |= {"id": "call-1", "type": "function"}
        call["function"]["name"] = chosen.pick(("f", "", "g"))
    return _spoiled(call, chosen) if chosen.number() % 8 == 0 else call


def _spoiled(told: Json, chosen: Chooser) -> Json:
    """With one of its values an odd one, or away."""
    name = chosen.pick(list(told))
    if chosen.yes():
        return {key: value for key, value in told.items() if key != name}
    return told | {name: chosen.pick(ODD_VALUES)}

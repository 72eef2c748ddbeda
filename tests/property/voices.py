"""Every voice there is, by name, with the engine's streams that it is made for; and how clients read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy

from seekserve.dialect.anthropic import Messages
from seekserve.dialect.anthropic_begun import Begun
from seekserve.dialect.chat import Chat
from seekserve.dialect.completions import Completions
from seekserve.dialect.continued import Continued
from seekserve.dialect.responses import Responses
from seekserve.gateway.ask import Voice
from seekserve.gateway.sse import Tap
from tests.property.streams import Json, Stream, chats, plain


@dataclass(frozen=True)
class Kind:
    """A new voice, and the streams that come to it."""

    voice: Callable[[], Voice]
    streams: SearchStrategy[Stream]


def _responses() -> Voice:
    return Responses({"model": "m", "input": "x"}, {}, 1 << 20).voice(True)


KINDS = {
    "chat": Kind(lambda: Chat().voice(True), chats()),
    "chat of two": Kind(lambda: Chat().voice(True), chats(choices=2)),
    "chat without usage": Kind(lambda: Chat().voice(False), chats()),
    "chat with logprobs": Kind(lambda: Chat().voice(True), chats(logprobs=True)),
    "usage last": Kind(lambda: Chat(usage_last=True).voice(True), chats()),
    "usage last of two": Kind(lambda: Chat(usage_last=True).voice(True), chats(choices=2)),
    "completions": Kind(lambda: Completions().voice(True), plain(choices=2)),
    "completions usage last": Kind(lambda: Completions(usage_last=True).voice(True), plain()),
    "continued": Kind(lambda: Continued(thinks=False).voice(True), plain(choices=2)),
    "continued thinking": Kind(lambda: Continued(thinks=True).voice(True), plain(thinks=True)),
    "continued usage last": Kind(
        lambda: Continued(thinks=True, usage_last=True).voice(True), plain(thinks=True)
    ),
    "responses": Kind(_responses, chats()),
    "messages": Kind(lambda: Messages("m").voice(True), chats()),
    "begun": Kind(lambda: Begun("m", thinks=False).voice(True), plain()),
    "begun thinking": Kind(lambda: Begun("m", thinks=True).voice(True), plain(thinks=True)),
}


def fed(kind: str, reads: list[bytes]) -> bytes:
    """What a client is sent of these reads."""
    tap = Tap(KINDS[kind].voice(), lambda: 0.0)
    out = b"".join([tap.feed(read) for read in reads])
    assert tap.done and tap.broke is None
    return out


def heard(out: bytes) -> list[Json]:
    """The events of a stream, read as a client does; [DONE] is left out, comments are skipped.

    A typed event must name its type in both places.
    """
    told = []
    assert out.endswith(b"\n\n")
    for block in out.split(b"\n\n")[:-1]:
        lines = [line for line in block.split(b"\n") if not line.startswith(b":")]
        fields = dict(line.split(b": ", 1) for line in lines)
        assert set(fields) <= {b"event", b"data"}, block
        if fields and fields[b"data"] != b"[DONE]":
            event: Json = json.loads(fields[b"data"])
            assert fields.get(b"event", str(event.get("type")).encode()).decode() == str(
                event.get("type")
            )
            told.append(event)
    return told

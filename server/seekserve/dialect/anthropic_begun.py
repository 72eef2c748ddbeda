"""Messages whose last turn is the assistant's: the client begins the answer, the model goes on.

The engine gives a text (see `prefix`); `continued` makes a chat answer of it, and that becomes a
message as every other does. Pure.
"""

from __future__ import annotations

from typing import Any

from seekserve.dialect import anthropic_answer
from seekserve.dialect.anthropic_stream import Stream as MessageStream
from seekserve.dialect.continued import Continued
from seekserve.dialect.continued import Stream as TextStream
from seekserve.errors import Refusal


class Begun:
    """The accent of a message that was begun by its client."""

    path = Continued.path

    def __init__(self, model: str, thinks: bool) -> None:
        self._model, self._texts = model, Continued(thinks)

    def voice(self, show_usage: bool) -> Through:
        return Through(self._texts.voice(False), MessageStream(self._model))

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return anthropic_answer.message(self._texts.answer(answer), self._model)


class Through:
    """A voice that tells what another made of the engine's texts."""

    steady = False

    def __init__(self, texts: TextStream, messages: MessageStream) -> None:
        self._texts, self._messages = texts, messages
        self.silence = messages.silence

    def events(self, data: bytes) -> bytes:
        return self._messages.events(self._texts.events(data))

    def event(self, event: dict[str, Any]) -> bytes:
        deltas = self._texts.event({name: event[name] for name in event if name != "usage"})
        counts: dict[str, Any] = {"id": event.get("id"), "usage": event.get("usage")}
        return self._messages.events(deltas) + self._messages.event(counts)

    def done(self) -> bytes:
        return self._messages.done()

    def failed(self, refusal: Refusal) -> bytes:
        return self._messages.failed(refusal)

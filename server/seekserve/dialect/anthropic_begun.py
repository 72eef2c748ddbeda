"""Messages whose last turn is the assistant's: the client begins the answer, the model goes on.

The engine gives a text (see `prefix`); `continued` makes a chat answer of it, and that becomes a
message as every other does. Pure.
"""

from __future__ import annotations

from typing import Any

from seekserve.dialect import anthropic_answer
from seekserve.dialect.anthropic_stream import Stream as MessageStream
from seekserve.dialect.continued import Continued, Stream, Through


class Begun:
    """The accent of a message that was begun by its client."""

    path = Continued.path

    def __init__(self, model: str, thinks: bool) -> None:
        self._model, self._thinks, self._texts = model, thinks, Continued(thinks, stops=True)

    def voice(self, show_usage: bool) -> Message:
        return Message(self._thinks, self._model)

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        return anthropic_answer.message(self._texts.answer(answer), self._model)


class Message(Through):
    """The voice. Silences within a message are bridged by its own pings."""

    def __init__(self, thinks: bool, model: str) -> None:
        messages = MessageStream(model)
        super().__init__(Stream(thinks, stops=True), messages)
        self.silence = messages.silence

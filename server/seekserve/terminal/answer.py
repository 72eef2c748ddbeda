"""One answer as it comes: its pieces in order, its usage, and how long everything took. Pure.

DeepSeek's and OpenAI's words are understood, and vLLM's own for reasoning. Nothing is trusted to have
the shape it should have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

THINKING = ("reasoning_content", "reasoning")


class Piece(NamedTuple):
    kind: Literal["thought", "said"]
    text: str


class Counts(NamedTuple):
    """Tokens, as the server counted them; None is what it did not tell."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    reasoning: int | None = None


UNKNOWN = Counts()


@dataclass
class Answer:
    """Moments are seconds of one clock; `asked` is when the question went off."""

    asked: float
    first: float | None = None
    last: float | None = None
    finish: str = ""
    counts: Counts = UNKNOWN
    _thoughts: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _calls: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)
    _called: int = 0

    def hear(self, event: Any, now: float) -> list[Piece]:
        """What an event adds."""
        told = event if isinstance(event, dict) else {}
        if isinstance(told.get("usage"), dict):
            self.counts = counts(told["usage"])
        choices = told.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return []
        self.finish = _text(choice, "finish_reason") or self.finish
        delta, called = choice.get("delta"), self._called
        pieces = self._delta(delta) if isinstance(delta, dict) else []
        if pieces or called != self._called:
            self.first = now if self.first is None else self.first
            self.last = now
        return pieces

    def _delta(self, delta: dict[str, Any]) -> list[Piece]:
        thought = _text(delta, THINKING[0]) or _text(delta, THINKING[1])
        said = _text(delta, "content") + _text(delta, "refusal")
        self._thoughts += [thought] if thought else []
        self._said += [said] if said else []
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._call(call)
        told = (Piece("thought", thought), Piece("said", said))
        return [piece for piece in told if piece.text]

    def _call(self, call: Any) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(number := call.get("index", 0), int):
            return
        for parts, word in zip(
            self._calls.setdefault(number, ([], [])), ("name", "arguments"), strict=True
        ):
            parts.append(_text(function, word))
        self._called += 1

    @property
    def thoughts(self) -> str:
        return "".join(self._thoughts)

    @property
    def said(self) -> str:
        return "".join(self._said)

    @property
    def calls(self) -> list[str]:
        """Each as `name(arguments)`."""
        parts = (self._calls[number] for number in sorted(self._calls))
        return [f"{''.join(name)}({''.join(arguments)})" for name, arguments in parts]

    @property
    def text(self) -> str:
        """What is kept of it as a turn."""
        return "\n".join(part for part in (self.said, *self.calls) if part)

    @property
    def pace(self) -> float | None:
        """Tokens a second after the first."""
        tokens = self.counts.completion
        if not tokens or tokens < 2 or self.first is None or self.last is None:
            return None
        span = self.last - self.first
        return (tokens - 1) / span if span > 0.01 else None

    def figures(self) -> str:
        """One line; what is not known is not in it."""
        prompt, cached, completion, reasoning = self.counts
        parts = []
        if self.first is not None:
            parts.append(f"first token {seconds(self.first - self.asked)}")
        if self.pace is not None:
            parts.append(
                f"{self.pace:,.0f} tokens/s" if self.pace >= 10 else f"{self.pace:.1f} tokens/s"
            )
        if prompt is not None:
            parts.append(f"{prompt:,} in" + (f" ({cached:,} cached)" if cached else ""))
        if completion is not None:
            parts.append(
                f"{completion:,} out" + (f" ({reasoning:,} thinking)" if reasoning else "")
            )
        return " · ".join(parts)


def counts(usage: dict[str, Any]) -> Counts:
    cached = _count(usage, "prompt_cache_hit_tokens")
    if cached is None:
        cached = _count(_part(usage, "prompt_tokens_details"), "cached_tokens")
    reasoning = _count(_part(usage, "completion_tokens_details"), "reasoning_tokens")
    return Counts(
        _count(usage, "prompt_tokens"), cached, _count(usage, "completion_tokens"), reasoning
    )


def seconds(span: float) -> str:
    return f"{span:.2f} s" if span < 1 else f"{span:.1f} s" if span < 100 else f"{span:,.0f} s"


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _count(told: dict[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None

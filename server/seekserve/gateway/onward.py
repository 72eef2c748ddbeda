"""Going on with a stream whose engine was lost, at another engine: how its answer is told as the first
would have. Pure.

The other engine is asked to complete the ids of prompt and answer. What it says are bare tokens of text:
reasoning up to the mark that ends it, then content. Tried with vLLM 0.32: a greedy answer goes on as if
nothing had been.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from seekserve.errors import NotTakenUp, Refusal
from seekserve.gateway.seam import END_OF_THOUGHT, Seam
from seekserve.gateway.stops import Stops

TOOL_MARK = "<｜"  # begins every DeepSeek format's tool calls, and no word
TOOL_CALL = "<tool_call>"  # the same of Qwen's and Hermes', where there are tools to call


class Onward:
    """The voice that tells another engine's completion in the words of the stream that broke off."""

    steady = False

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        first = json.loads(seam.kept.first.removeprefix(b"data:"))
        self._about = {name: first.get(name) for name in ("id", "object", "created", "model")}
        include = bool(seam.asked.get("include_stop_str_in_output"))
        self._stops = Stops(_words(seam.asked.get("stop")), include)
        self._least = int(seam.asked.get("min_tokens") or 0)
        told = seam.kept.told
        self._stops.add(told[: len(told) - seam.spoke])
        if seam.ended and seam.spoke:
            self._stops.add(END_OF_THOUGHT)
        self._stops.add(told[len(told) - seam.spoke :])
        self._thinking = seam.thinking
        self._prompt, self._made = len(seam.kept.prompt_ids), list(seam.ids)
        self._before = len(told) + len(seam.unsaid)
        self._marks, self._mark = _marks(seam.asked, seam.chat), ""
        self.ended = False

    def opening(self) -> bytes:
        """What was made before and never told. Raises NotTakenUp where a tool call was begun in it."""
        seam = self._seam
        thought, content = seam.thought, seam.unsaid
        if seam.thinking:
            thought = self._unmarked(thought, last=seam.left <= 0)
        else:
            content = self._unmarked(content, last=seam.left <= 0)
        thought = self._stops.feed(thought, last=seam.ended, heed=False)  # or it had ended there
        if seam.ended and not seam.spoke:
            self._stops.add(END_OF_THOUGHT)
        out = [*self._delta("reasoning", thought, None, [])]
        out += self._delta("content", self._stops.feed(content, heed=False), None, [])
        return b"".join(out)

    def events(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for event in data.split(b"\n\n"):
            if event.startswith(b"data:") and not self.ended:
                out += self._one(json.loads(event.removeprefix(b"data:")))
        return b"".join(out)

    def event(self, told: dict[str, Any]) -> bytes:
        return b"" if self.ended else self._usage(told["usage"])

    def done(self) -> bytes:
        return b"" if self.ended else b"data: [DONE]\n\n"

    def failed(self, refusal: Refusal) -> bytes:
        """Failures are told by the voice of the stream that goes on."""
        return b""

    def finish(self, why: str, stop: str | None = None) -> bytes:
        """Ends the answer where the engine has no more to say, or is not to say more."""
        return self._last(why, stop) + self.close()

    def close(self, counted: bool = False) -> bytes:
        """What follows an answer's last word: the counts, where they were not told, and the end."""
        self.ended = True
        return (b"" if counted else self._usage({})) + b"data: [DONE]\n\n"

    def _last(self, why: str, stop: Any) -> bytes:
        said: dict[str, Any] = {"delta": {"content": ""}} if self._seam.chat else {"text": ""}
        return _data(self._chunk(said | {"stop_reason": stop}, why))

    def _one(self, told: dict[str, Any]) -> Iterator[bytes]:
        for choice in told.get("choices") or ():
            yield from self._token(choice)

    def _token(self, choice: dict[str, Any]) -> Iterator[bytes]:
        text, why = choice.get("text") or "", choice.get("finish_reason")
        ids = choice.get("token_ids") or []
        self._made += ids
        text = self._unmarked(self._mark + text, last=bool(why))
        heed = len(self._made) > self._least
        if self._thinking and END_OF_THOUGHT in text:
            thought, _, text = text.partition(END_OF_THOUGHT)
            self._thinking = False
            thought = self._stops.feed(thought, last=True, heed=heed)
            yield from self._delta("reasoning", thought, None, [])
            self._stops.feed(END_OF_THOUGHT, last=True, heed=heed)
        kind = "reasoning" if self._thinking else "content"
        out = self._stops.feed(text, last=bool(why), heed=heed)
        yield from self._delta(kind, out, self._logprobs(choice.get("logprobs")), ids)
        if self._stops.met:
            yield self.finish("stop", self._stops.met)
        elif why:
            yield self._last(why, choice.get("stop_reason"))

    def _unmarked(self, text: str, last: bool) -> str:
        """Less what may begin a mark, which may come in several tokens. Raises NotTakenUp at a whole one."""
        if any(mark in text for mark in self._marks):
            raise NotTakenUp(
                "The engine was lost in the middle of the answer, which cannot go on: "
                "a tool call was under way. Send the request again."
            )
        begun = text[text.rfind("<") :] if "<" in text and not last else ""
        self._mark = begun if any(mark.startswith(begun) for mark in self._marks) else ""
        return text.removesuffix(self._mark)

    def _delta(self, kind: str, text: str, logprobs: Any, ids: list[int]) -> Iterator[bytes]:
        if text or ids:
            chunk = self._chunk(self._said(kind, text), None, logprobs, ids)
            yield _data(chunk)

    def _said(self, kind: str, text: str) -> dict[str, Any]:
        if not self._seam.chat:
            return {"text": text}
        return {"delta": {kind: text} if text else {}}

    def _chunk(
        self,
        said: dict[str, Any],
        why: str | None,
        logprobs: Any = None,
        ids: list[int] | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": why}
        return {**self._about, "choices": [choice | ({"token_ids": ids} if ids else {})]}

    def _logprobs(self, told: dict[str, Any] | None) -> Any:
        """Those of completions, as chat has them; or with places in the whole text."""
        if not told:
            return told
        if not self._seam.chat:
            return told | {"text_offset": [self._before + at for at in told["text_offset"]]}
        tops = told.get("top_logprobs") or [None] * len(told["tokens"])
        rows = zip(told["tokens"], told["token_logprobs"], tops, strict=True)
        return {"content": [self._row(*row) for row in rows]}

    def _row(self, token: str, logprob: float, tops: dict[str, float] | None) -> dict[str, Any]:
        most = sorted((tops or {}).items(), key=lambda one: -one[1])[: self._seam.tops or 0]
        return _valued(token, logprob) | {"top_logprobs": [_valued(*one) for one in most]}

    def _usage(self, told: dict[str, Any]) -> bytes:
        """Each token once: those of the prompt as it was, and all of the answer's."""
        made = self._made
        usage: dict[str, Any] = {"prompt_tokens": self._prompt, "completion_tokens": len(made)}
        usage["total_tokens"] = self._prompt + len(made)
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": min(cached, self._prompt)}
        if self._seam.chat:
            thought = made.index(self._seam.end_id) if self._seam.end_id in made else 0
            thought = len(made) if self._thinking else thought
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        return _data({**self._about, "choices": [], "usage": usage})


def _marks(asked: dict[str, Any], chat: bool) -> tuple[str, ...]:
    """What begins a tool call, which the engine that was lost told as one, and another tells as text."""
    if not chat:
        return ()
    return (TOOL_MARK, TOOL_CALL) if asked.get("tools") else (TOOL_MARK,)


def _valued(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode(errors="replace"))}


def _words(stop: Any) -> list[str]:
    return [stop] if isinstance(stop, str) else [word for word in stop or () if word]


def _data(event: dict[str, Any]) -> bytes:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode(errors="replace") + b"\n\n"

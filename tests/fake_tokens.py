"""The fake engine's tokens, and what vLLM 0.32 says of them on the wire when it is asked for ids.

A character is a token; one beyond 16 bits is two, as in a tokenizer of bytes; the marks are one each.
The same here makes the fake's streams and those of the tests without an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
THINK, END, EOS = 0x120001, 0x120002, 0x120003
MARKS = {THINK: "<think>", END: "</think>", EOS: ""}
HIGH, LOW = 0x130000, 0x140000  # halves of a character
LOGPROB = -0.25


def ids_of(text: str) -> list[int]:
    """A text that is a mark is one token."""
    for mark, words in MARKS.items():
        if words and text == words:
            return [mark]
    return [number for char in text for number in _halves(ord(char))]


def _halves(code: int) -> list[int]:
    return [code] if code < 0x10000 else [HIGH + (code >> 10), LOW + (code & 0x3FF)]


def text_of(ids: Sequence[int]) -> str:
    """As /detokenize has it: half a character is U+FFFD."""
    return "".join(text or MARKS.get(number, "") for number, text in spelled(ids, last=True))


def spelled(ids: Sequence[int], last: bool = False) -> Iterator[tuple[int, str]]:
    """Each token and the text that it completes; marks have none. `last` shows a half as U+FFFD."""
    high = 0
    for place, number in enumerate(ids):
        text = ""
        if number in MARKS:
            pass
        elif number >= LOW:
            text = chr(((high - HIGH) << 10) + number - LOW) if high else "\ufffd"
        elif number >= HIGH:
            text = (
                "\ufffd" if last and not any(n >= LOW for n in ids[place + 1 : place + 2]) else ""
            )
        else:
            text = chr(number % 0xD800)
        high = number if HIGH <= number < LOW else 0
        yield number, text


@dataclass(frozen=True)
class Piece:
    """What one event tells: text by kind ("reasoning", "content" or "text"), and the tokens made for it."""

    said: tuple[tuple[str, str], ...]
    ids: tuple[int, ...]
    finish: str | None = None
    stop: str | None = None

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.said)


@dataclass(frozen=True)
class Spoken:
    """An answer: its tokens in the groups in which an engine makes them, less the last, which ends it."""

    groups: tuple[tuple[int, ...], ...]
    chat: bool
    thinking: bool = False  # whether the prompt opened a thought

    @property
    def ids(self) -> list[int]:
        return [number for group in self.groups for number in group] + [EOS]

    def after(self, count: int) -> Spoken:
        """What is left of it, told as plain text, once so many tokens were made."""
        left: list[tuple[int, ...]] = []
        for group in self.groups:
            left += [group[count:]] if count < len(group) else []
            count = max(0, count - len(group))
        return Spoken(tuple(left), chat=False)

    def pieces(
        self, most: int, stops: Sequence[str] = (), least: int = 0, include: bool = False
    ) -> list[Piece]:
        """As vLLM sends them: no more tokens than `most`, and as much text held back as a stop may take.

        No stop ends it within its first `least` tokens. `include` tells the one that ends it.
        """
        hold = 0 if include else max((len(word) for word in stops), default=1) - 1
        kind = "reasoning" if self.thinking else "content" if self.chat else "text"
        out: list[Piece] = []
        buffer: list[tuple[str, str]] = []  # (character, its kind)
        whole, made = "", 0
        for group in (*self.groups, (EOS,)):
            cut = group[: most - made]
            made, known = made + len(cut), len(whole)
            for number, text in spelled_on(cut, out):
                if number == END:
                    text, kind = MARKS[END], "mark" if self.chat else kind
                buffer += [(char, kind) for char in text]
                whole += text
                kind = "content" if kind == "mark" else kind
            places = ((w, whole.find(w, max(0, known - len(w) + 1))) for w in stops)
            found = [(at + len(word), word) for word, at in places if at >= 0 and made > least]
            ends = EOS in cut or made >= most
            if found:
                end, met = min(found, key=lambda one: one[0])
                untold = len(whole) - end + (0 if include else len(met))
                buffer = buffer[: max(0, len(buffer) - untold)]
                return [*out, Piece(_runs(buffer), cut, "stop", met)]
            keep = 0 if ends else hold
            at = max(0, len(buffer) - keep)
            told, buffer = buffer[:at], buffer[at:]
            why = None if not ends else "stop" if EOS in cut else "length"
            out.append(Piece(_runs(told), cut, why))
            if ends:
                return out
        raise AssertionError("an answer ends with its last token")


def spelled_on(group: Sequence[int], before: Sequence[Piece]) -> Iterator[tuple[int, str]]:
    """`spelled`, where the first token may be a second half."""
    high = before[-1].ids[-1:] if before else ()
    high = high if high and HIGH <= high[0] < LOW else ()
    yield from list(spelled([*high, *group]))[len(high) :]


def _runs(chars: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    runs: dict[str, str] = {}
    for char, kind in chars:
        runs[kind] = runs.get(kind, "") + char
    runs.pop("mark", None)
    return tuple(runs.items())


@dataclass(frozen=True)
class Telling:
    """How a stream is told: `tops` log-probabilities beside each token's own, or None for none at all."""

    chat: bool
    prompt: Sequence[int]
    usage: bool = True
    tops: int | None = None
    model: str = "fake"

    def events(self, pieces: Sequence[Piece]) -> list[Json]:
        told = [self._opening()] if self.chat else []
        offset = 0
        for number, piece in enumerate(pieces):
            told.append(self._event(piece, not number, offset))
            offset += sum(len(word) for word in _words(piece))
        if self.usage:
            told.append(self._about([]) | {"usage": self._usage(pieces)})
        return told

    def _about(self, choices: list[Json]) -> Json:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        name = "chatcmpl-1" if self.chat else "cmpl-1"
        return {"id": name, "object": kind, "created": 1, "model": self.model, "choices": choices}

    def _opening(self) -> Json:
        role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None}
        told = self._about([role | {"finish_reason": None}])
        return told | {"prompt_token_ids": list(self.prompt), "prompt_text": None}

    def _event(self, piece: Piece, first: bool, offset: int) -> Json:
        nothing = {"content": ""} if piece.finish else {}
        said: Json = {"delta": dict(piece.said) or nothing} if self.chat else {"text": piece.text}
        choice: Json = {"index": 0} | said | {"logprobs": self._logprobs(piece, offset)}
        choice["finish_reason"] = piece.finish
        if piece.finish or not self.chat:
            choice["stop_reason"] = piece.stop
        if not self.chat:
            choice["prompt_token_ids"] = list(self.prompt) if first else None
        return self._about([choice | {"token_ids": list(piece.ids)}])

    def _logprobs(self, piece: Piece, offset: int) -> Json | None:
        if self.tops is None or not piece.ids:
            return None
        words = _words(piece)
        more = range(self.tops)
        others = [{word: LOGPROB} | {f"{word}?{n}": -n - 1.0 for n in more} for word in words]
        if not self.chat:
            told: Json = {"tokens": words, "token_logprobs": [LOGPROB] * len(words)}
            starts = [offset + sum(map(len, words[:n])) for n in range(len(words))]
            return told | {"top_logprobs": others, "text_offset": starts}
        return {"content": [self._row(*one) for one in zip(words, others, strict=True)]}

    def _row(self, word: str, others: dict[str, float]) -> Json:
        most = [_valued(*one) for one in others.items()][: self.tops]
        return _valued(word, LOGPROB) | {"top_logprobs": most}

    def _usage(self, pieces: Sequence[Piece]) -> Json:
        ids = [number for piece in pieces for number in piece.ids]
        usage: Json = {"prompt_tokens": len(self.prompt), "completion_tokens": len(ids)}
        usage["total_tokens"] = len(self.prompt) + len(ids)
        usage["prompt_tokens_details"] = {"cached_tokens": min(8, len(self.prompt))}
        if self.chat:
            thought = list(self.prompt[-1:]) == [THINK]
            count = ids.index(END) if END in ids else len(ids) if thought else 0
            usage["completion_tokens_details"] = {"reasoning_tokens": count}
        return usage


def _words(piece: Piece) -> list[str]:
    return [text or MARKS.get(number, "") for number, text in spelled(piece.ids)]


def _valued(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode(errors="replace"))}

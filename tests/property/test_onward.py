"""A stream cut after any byte and taken up by another engine tells its client what the unbroken one would."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from seekserve.dialect.chat import Chat
from seekserve.dialect.completions import Completions
from seekserve.errors import EngineBroke
from seekserve.gateway import resume
from seekserve.gateway.kept import Kept, lost
from seekserve.gateway.sse import Tap
from tests.fake_tokens import END, THINK, Json, Spoken, Telling, ids_of, text_of
from tests.property.streams import texts

COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details")
"""What of a usage is the answer's; what was cached is known to its engine alone."""
IDS = re.compile(rb'"(?:prompt_)?token_ids":')
PROMPT = ids_of("Say something.")
words = st.one_of(texts, st.sampled_from(["🐳", " w1", "ab", "b", "🐳🦈", "aba"])).filter(bool)


@dataclass(frozen=True)
class Case:
    """A request and all that an engine would answer to it."""

    spoken: Spoken
    asked: Json

    @property
    def prompt(self) -> list[int]:
        if not self.spoken.chat:
            return PROMPT
        return [*PROMPT, THINK if self.spoken.thinking else END]

    def told(self, spoken: Spoken, asked: Json) -> list[bytes]:
        chat = "messages" in asked
        tops = asked.get("logprobs")
        if chat:
            tops = int(asked.get("top_logprobs") or 0) if tops else None
        stop = asked.get("stop") or []
        stops = [stop] if isinstance(stop, str) else stop
        prompt = asked.get("prompt", self.prompt)
        telling = Telling(chat, prompt if isinstance(prompt, list) else self.prompt, tops=tops)
        least, include = asked.get("min_tokens", 0), asked.get("include_stop_str_in_output", False)
        pieces = spoken.pieces(asked["max_tokens"], stops, least, include)
        return [*map(event, telling.events(pieces)), b"data: [DONE]\n\n"]


def event(told: Json) -> bytes:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def events(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n\n")
    return [*(one + b"\n\n" for one in whole), rest]


def groups(draw: st.DrawFn, most: int, whales: bool) -> list[tuple[int, ...]]:
    """Words, each in one event or a token an event; with `whales` there are characters of two."""
    some = words if whales else words.filter(lambda word: max(word) < "\U00010000")
    said = draw(st.lists(some, min_size=1, max_size=most))
    out: list[tuple[int, ...]] = []
    for word in said:
        ids = ids_of(word)
        out += [tuple(ids)] if draw(st.booleans()) else [(one,) for one in ids]
    return [group for group in out if END not in group]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    chat = draw(st.booleans())
    thinking = chat and draw(st.booleans())
    tops = draw(
        st.none() | st.integers(0, 2)
    )  # half a character's is told twice, if it broke there
    made = groups(draw, 4, tops is None)
    if thinking:
        made += [(END,), *groups(draw, 4, tops is None)]
    whole = text_of([number for group in made for number in group if number != END])
    asked: Json = {"model": "fake", "max_tokens": draw(st.sampled_from([3, 7, 500, 500]))}
    asked |= {"messages": "Say something."} if chat else {"prompt": "Say something."}
    if draw(st.booleans()):
        at = draw(st.integers(0, max(0, len(whole) - 1)))
        asked["stop"] = [whole[at : at + draw(st.integers(1, 4))] or "x", "zzzz"]
        asked |= {"min_tokens": draw(st.sampled_from([0, 0, 2, 5]))}
        asked |= {"include_stop_str_in_output": draw(st.booleans())}
    if tops is not None:
        asked |= {"logprobs": True, "top_logprobs": tops} if chat else {"logprobs": tops}
    return Case(Spoken(tuple(made), chat, thinking), asked)


def tap(case: Case) -> Tap:
    accent: Any = Chat() if case.spoken.chat else Completions()
    kept = Kept()
    kept.asked = json.dumps(case.asked).encode()
    return Tap(accent.voice(True), lambda: 0.0, kept=kept)


@dataclass
class Other:
    """An exchange with an engine that says the rest, or so many bytes of it before it breaks too."""

    case: Case
    client: bytearray
    most: int | None

    def __post_init__(self) -> None:
        path = Chat.path if self.case.spoken.chat else Completions.path
        self.ask = SimpleNamespace(accent=SimpleNamespace(path=path))
        self.lease = SimpleNamespace(began=lambda: None)
        self.outlet = SimpleNamespace(writer=SimpleNamespace(write=self.client.extend))

    async def call(self, path: str, wanted: Json) -> Json:
        if path == "/tokenize":
            return {"tokens": ids_of(wanted["prompt"])}
        return {"prompt": text_of(wanted["tokens"])}

    async def stream(self, path: str, said: bytes, feed: Callable[[bytes], bytes]) -> None:
        asked = json.loads(said)
        before = len(self.case.prompt)
        assert (path, asked["prompt"][:before]) == ("/v1/completions", self.case.prompt)
        rest = self.case.spoken.after(len(asked["prompt"]) - before)
        data = b"".join(self.case.told(rest, asked))
        for part in events(data[: self.most]):
            self.client += feed(part)
        if self.most and self.most < len(data):
            raise EngineBroke("It broke as well.")


def go_on(case: Case, one: Tap, cuts: list[int]) -> bytes:
    """Taken up by another engine, and by one more after each of `cuts` bytes."""
    client = bytearray()
    with suppress(StopIteration):  # nothing in it waits
        for most in (*cuts, None):
            with suppress(EngineBroke):
                other: Any = Other(case, client, most)
                resume.go_on(other, one, lambda: 0.0).send(None)
    return bytes(client)


def meant(out: bytes) -> Json:
    """What a client makes of a stream."""
    told: Json = {"reasoning_content": "", "content": "", "text": "", "logprobs": [], "at": []}
    events = [e.removeprefix(b"data: ") for e in out.split(b"\n\n") if e.startswith(b"data")]
    assert events.pop() == b"[DONE]"
    assert not IDS.search(out)
    for said in map(json.loads, events):
        usage = said.get("usage") or {}
        told |= {name: usage[name] for name in COUNTED if name in usage}
        for choice in said["choices"]:
            for name, text in choice.get("delta", choice).items():
                if name in ("reasoning_content", "content", "text"):
                    told[name] += text or ""
            told["stop"] = choice.get("stop_reason") or told.get("stop")
            told["finish"] = choice.get("finish_reason") or told.get("finish")
            rows = choice.get("logprobs") or {}
            told["logprobs"] += rows.get("content") or rows.get("reasoning_content") or []
            told["logprobs"] += rows.get("token_logprobs") or []
            told["at"] += rows.get("text_offset") or []
            if choice.get("delta"):
                told["role"] = choice["delta"].get("role") or told.get("role")
    return told


@settings(max_examples=300, deadline=None)
@given(case=cases(), data=st.data())
def test_a_cut_anywhere_tells_what_the_unbroken_stream_tells(
    case: Case, data: st.DataObject
) -> None:
    stream = case.told(case.spoken, case.asked)
    whole = tap(case)
    expected = meant(whole.feed(b"".join(stream)))
    broken = tap(case)
    note(str(case))
    raw = b": an engine may say this first\n\n" * data.draw(st.booleans()) + b"".join(stream)
    at = data.draw(st.integers(1, len(raw) - 1))
    alone = data.draw(st.booleans())  # event by event, as engines mostly send, or at once
    out = b"".join(map(broken.feed, events(raw[:at]) if alone else [raw[:at]]))
    if broken.done:
        assert meant(out) == expected
        return
    assert broken.kept is not None
    if not broken.said:
        return  # nothing was passed on: it is asked anew
    assert lost(case.asked, broken.kept) == ""
    again = data.draw(st.lists(st.integers(300, 3000), max_size=2))
    note(out.decode())
    out += go_on(case, broken, again)
    note(out.decode())
    assert meant(out) == expected

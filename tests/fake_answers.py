"""What the fake engine answers: vLLM 0.32's shapes on the wire, and every way to get them wrong.

A request names its fault in the last user message or prompt, `fault:NAME key=value ...`; NAME is a
method `f_NAME` below. Without one the answer is healthy: three words of reasoning, three of content.
Here a token is a character, so a prompt in tokens is a text again; its fault is `then:NAME`, since
`fault` has been met by the /tokenize that made it. Asked for token ids it tells them as vLLM does, and a
prompt that ends in the beginning of an answer of its own is gone on with.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tests.fake_tokens import END, THINK, Spoken, Telling, ids_of, text_of

TOO_LONG = (
    "This model's maximum context length is 2048 tokens. However, your prompt contains 4096 input "
    "tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
    "the input prompt."
)
USAGE = {
    "prompt_tokens": 12,
    "total_tokens": 18,
    "completion_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


class Teller(Protocol):
    """The engine, as far as an answer needs it."""

    tokens: int
    embeds: bool
    fault: str
    flow: asyncio.Event


def event(data: Any, spaced: bool = False) -> bytes:
    marks = (", ", ": ") if spaced else (",", ":")
    text = data if isinstance(data, str) else json.dumps(data, separators=marks)
    return f"data: {text}\n\n".encode()


def flat(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


class Answer:
    """One request and the way to answer it; `f_` methods are the faults."""

    def __init__(self, engine: Teller, writer: asyncio.StreamWriter, path: str, body: Any) -> None:
        self.engine, self.writer, self.body = engine, writer, body
        self.chat = path.endswith("/chat/completions")
        self.plain = {"/tokenize": "tokens", "/detokenize": "text"}.get(path, "")
        if path.endswith("/embeddings"):
            self.plain = "vectors"
        told: Any = "" if self.plain == "vectors" else body.get("prompt", body.get("input"))
        said = body["messages"][-1].get("content") if "messages" in body else told
        self.stepped = isinstance(said, list) and all(isinstance(token, int) for token in said)
        self.ids = list(said) if self.stepped else []
        said = text_of(said) if self.stepped else said
        self.said = said if isinstance(said, str) else ""
        words = re.findall(r"(\w+)[=:]([^\s<]+)", said[:200] if isinstance(said, str) else "")
        self.knobs = dict(words)
        self.count = int(self.knobs.get("tokens", 6))
        self.spaced = False

    # Shapes.

    def head(self, kind: str, size: int | None, status: int = 200, more: str = "") -> bytes:
        length = "transfer-encoding: chunked" if size is None else f"content-length: {size}"
        text = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{length}\r\n{more}\r\n"
        return text.encode()

    def chunk(self, choices: list[Any], **more: Any) -> bytes:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        about = {"id": "chatcmpl-1", "object": kind, "created": 1, "model": self.body["model"]}
        return event({**about, "choices": choices, **more}, self.spaced)

    def delta(self, number: int) -> bytes:
        key = "reasoning" if number < self.count // 2 else "content"
        if not self.chat:
            choice: dict[str, Any] = {"index": 0, "text": self.word(number)}
            return self.chunk([choice | {"logprobs": None, "finish_reason": None}])
        said = {"index": 0, "delta": {key: f" w{number}"}, "logprobs": None}
        return self.chunk([said | {"finish_reason": None, "token_ids": None}])

    def word(self, number: int) -> str:
        """Of a text; the one numbered `closes` ends the reasoning, the one numbered `whale` is one."""
        if number == int(self.knobs.get("whale", -1)):
            return " 🐳"
        return "</think>" if number == int(self.knobs.get("closes", -1)) else f" w{number}"

    @property
    def thinks(self) -> bool:
        return self.chat and "mute" not in self.knobs

    def prompt(self) -> list[int]:
        if self.ids:
            return self.ids
        opening = [THINK if self.thinks else END] if self.chat else []
        return ids_of(self.said) + opening

    def spoken(self, chat: bool, thinks: bool) -> Spoken:
        words = [tuple(ids_of(self.word(number))) for number in range(self.count)]
        if thinks:
            words.insert(self.count // 2, (END,))
        return Spoken(tuple(words), chat, thinks)

    def rest(self) -> Spoken:
        """What is to be said: all of it, or what is left where the prompt ends in its beginning."""
        if not self.stepped:
            return self.spoken(self.chat, self.thinks)
        whole = [(self.spoken(False, True), THINK), (self.spoken(False, False), 0)]
        most, best = 0, whole[1][0]
        for spoken, opening in whole:
            ids = spoken.ids
            for count in range(len(ids) - 1, most, -1):
                before = self.ids[:-count]
                if self.ids[-count:] == ids[:count] and (not opening or before[-1:] == [opening]):
                    most, best = count, spoken.after(count)
                    break
        return best

    def told_with_ids(self) -> list[bytes]:
        """The stream of a request that asks for `return_token_ids`."""
        body = self.body
        tops = body.get("logprobs")
        if self.chat:
            tops = int(body.get("top_logprobs") or 0) if tops else None
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        stop = body.get("stop") or []
        stops = [stop] if isinstance(stop, str) else stop
        pieces = self.rest().pieces(int(body.get("max_tokens") or 1 << 20), stops)
        telling = Telling(self.chat, self.prompt(), usage, tops, body["model"])
        return [*(event(told, self.spaced) for told in telling.events(pieces)), event("[DONE]")]

    def events(self) -> list[bytes]:
        """A whole healthy stream, event by event."""
        if self.body.get("return_token_ids"):
            return self.told_with_ids()
        role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None}
        first = self.chunk(
            [role | {"finish_reason": None}], prompt_token_ids=None, prompt_text=None
        )
        end: dict[str, Any] = {"delta": {"content": ""}} if self.chat else {"text": ""}
        last = {"index": 0} | end | {"logprobs": None, "finish_reason": "stop", "stop_reason": None}
        asked = (self.body.get("stream_options") or {}).get("include_usage")
        return [
            *([first] if self.chat else []),
            *(self.delta(number) for number in range(self.count)),
            self.chunk([last | {"token_ids": None}]),
            *([self.chunk([], usage=USAGE)] if asked else []),
            event("[DONE]"),
        ]

    def whole(self) -> bytes:
        words = [self.word(number) for number in range(self.count)]
        half = self.count // 2
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(words[half:]),
            "tool_calls": [],
        }
        message |= {"reasoning": "".join(words[:half]) or None, "refusal": None}
        said: dict[str, Any] = {"message": message} if self.chat else {"text": "".join(words)}
        choice = (
            {"index": 0} | said | {"logprobs": None, "finish_reason": "stop", "token_ids": None}
        )
        about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1}
        told = about | {"model": self.body["model"], "choices": [choice], "usage": USAGE}
        return json.dumps(told | {"prompt_logprobs": None, "kv_transfer_params": None}).encode()

    # Ways of writing.

    async def write(self, data: bytes) -> None:
        await self.engine.flow.wait()
        self.writer.write(data)
        await self.writer.drain()

    async def part(self, data: bytes) -> None:
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def open(self) -> None:
        await self.write(self.head("text/event-stream; charset=utf-8", None))

    async def stream(self, events: list[bytes], wait_s: float = 0.0) -> None:
        await self.open()
        for item in events:
            await self.part(item)
            self.engine.tokens += 1
            await asyncio.sleep(wait_s)
        await self.write(b"0\r\n\r\n")

    async def full(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        await self.write(self.head(kind, len(body), status) + body)

    async def refuse(self, status: int, message: str, param: str | None = None) -> None:
        error = {"message": message, "type": "BadRequestError", "param": param, "code": status}
        await self.full(json.dumps({"error": error}).encode(), status=status)

    async def healthy(self, wait_s: float = 0.0) -> None:
        if self.body.get("stream"):
            await self.stream(self.events(), wait_s)
        else:
            await asyncio.sleep(wait_s * self.count)
            await self.full(self.whole())

    async def run(self) -> None:
        name = self.knobs.get("then" if self.stepped else "fault", self.plain)
        name = self.plain if self.plain == "text" else self.engine.fault or name
        fault: Callable[[], Awaitable[None]] = getattr(self, f"f_{name}", self.healthy)
        await fault()

    async def f_tokens(self) -> None:
        """What vLLM's /tokenize answers; a conversation ends with the opening of an answer."""
        spoken = self.body.get("messages") or [{"content": self.body.get("prompt")}]
        text = "".join(flat(message.get("content") or "") for message in spoken)
        told: dict[str, Any] = {"count": len(text), "max_model_len": 2048, "token_strs": None}
        if self.body.get("return_token_strs"):
            on = (self.body.get("chat_template_kwargs") or {}).get("thinking", True)
            text += "<think>" if on else "</think>"
            told["token_strs"] = list(text)
        await self.full(json.dumps(told | {"tokens": ids_of(text)}).encode())

    async def f_text(self) -> None:
        """What vLLM's /detokenize answers."""
        await self.full(json.dumps({"prompt": text_of(self.body["tokens"])}).encode())

    async def f_vectors(self) -> None:
        if not self.engine.embeds:
            await self.f_no_route()
            return
        given = self.body["input"]
        texts = given if isinstance(given, list) else [given]
        data = [{"object": "embedding", "index": n, "embedding": [0.5]} for n in range(len(texts))]
        usage = {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0}
        told = {"id": "embd-1", "object": "list", "created": 1, "model": self.body["model"]}
        await self.full(json.dumps(told | {"data": data, "usage": usage}).encode())

    async def f_no_route(self) -> None:
        await self.full(b'{"detail":"Not Found"}', status=404)

    async def f_tools(self) -> None:
        """Thinks, says a word, then calls `calls` tools."""
        number = int(self.knobs.get("calls", 2))
        calls = [
            {"id": f"chatcmpl-tool-{n}", "type": "function", "index": n}
            | {"function": {"name": f"f{n}", "arguments": json.dumps({"n": n, "say": 'a "b"\n'})}}
            for n in range(number)
        ]
        if self.body.get("stream"):
            await self.stream(self.tool_events(calls))
            return
        told = json.loads(self.whole())
        told["choices"][0]["message"]["tool_calls"] = calls
        told["choices"][0]["finish_reason"] = "tool_calls"
        await self.full(json.dumps(told).encode())

    def tool_events(self, calls: list[Any]) -> list[bytes]:
        first, *deltas, last, usage, done = self.events()
        for call in calls:
            named = call["function"] | {"arguments": ""}
            pieces = [call | {"function": named}]
            text = call["function"]["arguments"]
            pieces += [
                {"index": call["index"], "function": {"arguments": text[at : at + 5]}}
                for at in range(0, len(text), 5)
            ]
            deltas += [
                self.chunk([{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}])
                for piece in pieces
            ]
        last = last.replace(b'"finish_reason":"stop"', b'"finish_reason":"tool_calls"')
        return [first, *deltas, last, usage, done]

    async def f_script(self) -> None:
        """Says what follows the message's first line: `deltas` or a `message`, and a `finish`."""
        told = json.loads(self.body["messages"][-1]["content"].partition("\n")[2])
        if "message" in told:
            whole = json.loads(self.whole())
            whole["choices"][0] |= {"message": told["message"], "finish_reason": told["finish"]}
            await self.full(json.dumps(whole).encode())
            return
        end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": told["finish"]}
        said = [end | {"delta": delta, "finish_reason": None} for delta in told["deltas"]]
        chunks = [self.chunk([choice]) for choice in (*said, end)]
        await self.stream([self.events()[0], *chunks, *self.events()[-2:]])

    # Faults.

    async def f_exit(self) -> None:
        os._exit(int(self.knobs.get("code", 9)))

    async def begin(self) -> None:
        """Sends `after` events (3), and `bytes` of the next."""
        after, more = int(self.knobs.get("after", 3)), int(self.knobs.get("bytes", 0))
        items = self.events()
        await self.open()
        for item in (*items[:after], items[after][:more] if more else b""):
            await (self.part(item) if item else asyncio.sleep(0))
        await asyncio.sleep(0.05)

    async def f_die_mid_stream(self) -> None:
        await self.begin()
        os._exit(9)

    async def f_drop_mid_stream(self) -> None:
        """The same to a client, but the engine lives on. Tokens are counted and spelt as ever."""
        if self.plain == "tokens":
            await self.f_tokens()
            return
        await self.begin()
        self.writer.close()

    async def f_drop_tools(self) -> None:
        """The same in the middle of a tool call."""
        call = {"id": "chatcmpl-tool-0", "type": "function", "index": 0}
        function = {"name": "f0", "arguments": '{"n": 1, "say": "so"}'}
        items = self.tool_events([call | {"function": function}])
        await self.open()
        for item in items[:-3]:
            await self.part(item)
        await asyncio.sleep(0.05)
        self.writer.close()

    async def f_drop_naming(self) -> None:
        """The same before the call has a name: a mark was made, and nothing of it told."""
        begun = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}
        await self.open()
        for item in self.events()[:6]:
            await self.part(item)
        await self.part(self.chunk([begun | {"token_ids": ids_of("<tool_call>")}]))
        await asyncio.sleep(0.05)
        self.writer.close()

    async def f_exit_at_once(self) -> None:
        """To a client; the engine lives on."""
        self.writer.close()

    async def f_drop_at_once(self) -> None:
        """The same once its stream was opened, with the first event that is not a token."""
        await self.open()
        await self.part(self.events()[0] if self.chat else b": \n\n")
        await asyncio.sleep(0.01)
        self.writer.close()

    async def f_hang_before_head(self) -> None:
        await asyncio.sleep(600)

    async def f_hang_mid_stream(self) -> None:
        await self.open()
        for item in self.events()[:3]:
            await self.part(item)
        await asyncio.sleep(600)

    async def f_late(self) -> None:
        await asyncio.sleep(float(self.knobs.get("wait", 0.5)))
        await self.healthy()

    async def f_late_refusal(self) -> None:
        await asyncio.sleep(float(self.knobs.get("wait", 0.5)))
        await self.refuse(400, TOO_LONG, "input_tokens")

    async def f_pause(self) -> None:
        await self.open()
        items = self.events()
        for item in items[:3]:
            await self.part(item)
        await asyncio.sleep(float(self.knobs.get("wait", 0.5)))
        await self.part(b"".join(items[3:]))
        await self.write(b"0\r\n\r\n")

    async def f_slow(self) -> None:
        await self.healthy(float(self.knobs.get("interval", 0.05)))

    async def f_endless(self) -> None:
        await self.open()
        item = self.delta(0) * 20
        while True:
            await self.part(item)

    async def f_burst(self) -> None:
        body = b"".join(self.events())
        await self.write(self.head("text/event-stream", len(body)) + body)

    async def f_html(self) -> None:
        await self.full(b"<html><h1>It works!</h1></html>", "text/html")

    async def f_html_502(self) -> None:
        await self.full(b"<html><h1>Bad Gateway</h1></html>", "text/html", 502)

    async def f_not_http(self) -> None:
        await self.write(b"220 mail.example ESMTP\r\n\r\n")
        await self.close()

    async def f_truncated_json(self) -> None:
        body = self.whole()
        await self.write(self.head("application/json", len(body)) + body[: len(body) // 2])
        await self.close()

    async def f_bad_json(self) -> None:
        await self.full(self.whole()[:-5])

    async def f_array(self) -> None:
        await self.full(b"[1,2]")

    async def f_odd_json(self) -> None:
        await self.full(b'{"choices":["no"],"usage":"none"}')

    async def f_odd_events(self) -> None:
        odd = [{"choices": ["no"], "usage": {}}, {"choices": [], "usage": "none"}, [1], "nothing"]
        await self.stream([*(event(item) for item in odd), event("[DONE]")])

    async def f_half_event(self) -> None:
        items = self.events()
        await self.open()
        await self.part(items[0] + items[1] + items[2][:20])
        await asyncio.sleep(0.05)
        await self.close()

    async def f_error_event(self) -> None:
        error = {
            "error": {"message": "the step failed", "type": "InternalServerError", "code": 500}
        }
        await self.stream([b"".join(self.events()[:3]) + event(error), event("[DONE]")])

    async def f_no_done(self) -> None:
        await self.stream(self.events()[:-1])

    async def f_close_before_done(self) -> None:
        await self.open()
        await self.part(b"".join(self.events()[:-1]))
        await asyncio.sleep(0.05)
        await self.close()

    async def f_dribble(self) -> None:
        body = b"".join(self.events())
        await self.write(self.head("text/event-stream", len(body)))
        for number in range(len(body)):
            await self.write(body[number : number + 1])
            if number % 50 == 0:
                await asyncio.sleep(0.001)

    async def f_crlf(self) -> None:
        await self.stream([item.replace(b"\n", b"\r\n") for item in self.events()])

    async def f_spaced(self) -> None:
        self.spaced = True
        await self.stream(self.events())

    async def f_null_reasoning(self) -> None:
        empties: list[dict[str, Any]] = [
            {"content": "a", "reasoning": None},
            {"reasoning_content": None, "content": "b"},
            {"reasoning": "", "content": "c"},
        ]
        chunks = [self.chunk([{"index": 0, "delta": d, "finish_reason": None}]) for d in empties]
        await self.stream([*chunks, *self.events()[-3:]])

    async def f_too_long(self) -> None:
        await self.refuse(400, TOO_LONG, "input_tokens")

    async def f_invalid(self) -> None:
        secret = {"type": "value_error", "loc": "body.x", "msg": "Value error, no", "input": "{pw}"}
        told = str(secret).replace("{pw}", "SECRET PROMPT")
        await self.refuse(400, f"1 validation error:\n  {told}", "body.x")

    async def f_status(self) -> None:
        await self.refuse(int(self.knobs["code"]), "no more of this")

    async def f_huge_event(self) -> None:
        size = int(self.knobs.get("mib", 5)) << 20
        await self.open()
        await self.part(self.events()[0])
        await self.part(b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * size)
        await asyncio.sleep(600)

    async def f_huge_headers(self) -> None:
        more = "".join(f"x-{number}: {'y' * 1000}\r\n" for number in range(200))
        body = self.whole()
        await self.write(self.head("application/json", len(body), more=more) + body)

    async def f_endless_header(self) -> None:
        await self.write(b"HTTP/1.1 200 OK\r\nx-long: ")
        while True:
            await self.write(b"y" * 65536)

    async def f_huge_answer(self) -> None:
        size = int(self.knobs.get("mib", 2)) << 20
        await self.full(b'{"choices":[],"x":"' + b"x" * size + b'"}')

    async def f_then_close(self) -> None:
        """A healthy answer, then the connection is closed without a word of warning."""
        await self.healthy()
        await self.close()

    async def close(self) -> None:
        self.writer.close()

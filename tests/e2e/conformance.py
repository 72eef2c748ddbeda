"""What clients of DeepSeek's API may rely on, as checks over HTTP: one function for each promise.

Each is asked of vLLM alone and of seekserve in front of the same engine; the README's table is what
came out. `documented` says whether DeepSeek's own documentation (api-docs.deepseek.com, 2026-11)
promises it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.server import MODEL

SUM = [{"role": "user", "content": "What is 17 + 25?"}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
ON, OFF = {"type": "enabled"}, {"type": "disabled"}


@dataclass(frozen=True)
class Api:
    """One server to ask. `model` is the engine's own name for it."""

    http: httpx.Client

    def post(self, path: str, **body: Any) -> httpx.Response:
        given = {"model": MODEL, "temperature": 0} | body
        return self.http.post(path, json={k: v for k, v in given.items() if v is not None})

    def chat(self, path: str = "/chat/completions", **body: Any) -> dict[str, Any]:
        """The first choice, with the usage beside it; empty when it was refused."""
        answer = self.post(path, **({"messages": SUM} | body))
        if answer.status_code != 200:
            return {}
        told = answer.json()
        choice: dict[str, Any] = told["choices"][0]
        return choice | {"usage": told["usage"]}

    def message(self, **body: Any) -> dict[str, Any]:
        message: dict[str, Any] = self.chat("/v1/chat/completions", **body).get("message", {})
        return message

    def events(self, path: str, **body: Any) -> list[str]:
        lines = self.post(path, stream=True, **body).text.splitlines()
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


Check = Callable[[Api], bool]
FEATURES: dict[str, tuple[bool, Check]] = {}


def promise(words: str, documented: bool = True) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        FEATURES[words] = (documented, check)
        return check

    return add


@promise("base URLs `/`, `/v1`, `/beta` and `/anthropic`")
def _(api: Api) -> bool:
    message = api.post("/anthropic/v1/messages", messages=SUM, max_tokens=20)
    chats = [api.chat(f"{at}/chat/completions") for at in ("", "/v1", "/beta")]
    return message.is_success and all(chats)


@promise("`thinking: {type}` switches thinking")
def _(api: Api) -> bool:
    on, off = api.message(thinking=ON), api.message(thinking=OFF)
    return bool(_thought(on)) and bool(off) and not _thought(off)


@promise("`reasoning_content` in answers")
def _(api: Api) -> bool:
    return bool(api.message(thinking=ON, reasoning_effort="high").get("reasoning_content"))


@promise("`reasoning_content` in streams, never null")
def _(api: Api) -> bool:
    lines = api.events("/v1/chat/completions", messages=SUM, thinking=ON, reasoning_effort="high")
    return any('"reasoning_content":"' in x for x in lines) and not any(
        '"reasoning_content":null' in x for x in lines
    )


@promise("`reasoning_effort`: none, low, high, max and the synonyms minimal, medium, xhigh, ultra")
def _(api: Api) -> bool:
    words = ("low", "high", "max", "minimal", "medium", "xhigh", "ultra")
    thinks = all(_thought(api.message(reasoning_effort=word)) for word in words)
    none = api.message(reasoning_effort="none")
    return thinks and bool(none) and not _thought(none)


@promise("a budget for thinking: `thinking.budget_tokens`", documented=False)
def _(api: Api) -> bool:
    told = api.chat("/v1/chat/completions", thinking=ON | {"budget_tokens": 5})
    return bool(told) and _details(told, "completion_tokens_details", "reasoning_tokens") == 5


@promise("earlier `reasoning_content` sent back with tools")
def _(api: Api) -> bool:
    turn = {"role": "assistant", "content": "42", "reasoning_content": "17 + 25 is 42."}
    messages = [*SUM, turn, *CAPITAL]
    return "Paris" in str(api.message(messages=messages, tools=[_tool()]).get("content"))


@promise("JSON mode")
def _(api: Api) -> bool:
    text = "Extract the name and age as JSON: Anna is 31 years old."
    said = api.message(
        messages=[{"role": "user", "content": text}],
        response_format={"type": "json_object"},
        thinking=OFF,
    )
    return _is_json(said.get("content"))


@promise("`stop` with 16 strings")
def _(api: Api) -> bool:
    stops = [f"stop{n}" for n in range(15)] + ["25"]
    return bool(api.message(stop=stops))


@promise("tool calls, and their results in the next turn")
def _(api: Api) -> bool:
    asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
    told = api.chat("/v1/chat/completions", messages=asked, tools=[_tool()], thinking=OFF)
    if not told or told["finish_reason"] != "tool_calls":
        return False
    call = told["message"]["tool_calls"][0]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "12 degrees and rainy"}
    turn = {"role": "assistant", "content": "", "tool_calls": [call]}
    said = api.message(messages=[*asked, turn, result], tools=[_tool()], thinking=OFF)
    return "12" in str(said.get("content"))


@promise("strict tools: an open schema is refused with the place")
def _(api: Api) -> bool:
    answer = api.post("/v1/chat/completions", messages=SUM, tools=[_tool(strict=True)])
    return answer.status_code == 400 and "additionalProperties" in answer.text


@promise("chat prefix completion: `prefix: true`")
def _(api: Api) -> bool:
    begun = {"role": "assistant", "content": "17 + 25 = 4", "prefix": True}
    told = api.chat("/v1/chat/completions", messages=[*SUM, begun], thinking=OFF)
    return bool(told) and str(told["message"]["content"]).strip() == "2"


@promise("prefix completion after given reasoning")
def _(api: Api) -> bool:
    begun = {"role": "assistant", "content": "17 +", "reasoning_content": "42.", "prefix": True}
    told = api.chat("/v1/chat/completions", messages=[*SUM, begun], thinking=ON)
    return bool(told) and told["message"]["content"].strip().startswith("25 =")


@promise("fill in the middle: `completions` with `suffix`, on V3.1's format")
def _(api: Api) -> bool:
    answer = api.post("/v1/completions", prompt="def f(", suffix="return 1", max_tokens=3)
    return answer.status_code == 200 and answer.json()["object"] == "text_completion"


@promise("`logprobs` of reasoning apart from those of the answer")
def _(api: Api) -> bool:
    told = api.chat("/v1/chat/completions", thinking=ON, logprobs=True, top_logprobs=2)
    probs = told.get("logprobs") or {}
    return bool(probs.get("reasoning_content")) and bool(probs.get("content"))


@promise("usage: `prompt_cache_hit_tokens`, `prompt_cache_miss_tokens`")
def _(api: Api) -> bool:
    counts = api.chat("/v1/chat/completions").get("usage", {})
    hit, miss = counts.get("prompt_cache_hit_tokens"), counts.get("prompt_cache_miss_tokens")
    return hit is not None and hit + miss == counts["prompt_tokens"]


@promise("usage: reasoning tokens counted")
def _(api: Api) -> bool:
    told = api.chat("/v1/chat/completions", thinking=ON, reasoning_effort="high")
    return _details(told, "completion_tokens_details", "reasoning_tokens") > 5


@promise("streams: usage on request, `[DONE]` at the end")
def _(api: Api) -> bool:
    lines = api.events("/v1/chat/completions", messages=SUM, stream_options={"include_usage": True})
    return lines[-1] == "[DONE]" and '"completion_tokens":' in lines[-2]


@promise("`user_id` keeps users' caches apart; another's field for it is refused")
def _(api: Api) -> bool:
    taken = api.post("/v1/chat/completions", messages=SUM, user_id="u-1").status_code == 200
    return taken and api.post("/v1/chat/completions", messages=SUM, cache_salt="x").is_error


def _thought(message: dict[str, Any]) -> str:
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _details(told: dict[str, Any], block: str, name: str) -> int:
    return int(((told.get("usage") or {}).get(block) or {}).get(name) or 0)


def _tool(strict: bool = False) -> dict[str, Any]:
    about = {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER}
    return {"type": "function", "function": about | ({"strict": True} if strict else {})}


def _is_json(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False

"""The promises beside chat: models, errors, the account, OpenAI's Responses and Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from tests.e2e.conformance import CAPITAL, OFF, SUM, Api, promise
from tests.e2e.server import MODEL


@promise("`GET /models`")
def _(api: Api) -> bool:
    return api.http.get("/models").status_code == 200


@promise("`GET /models/{id}`", documented=False)
def _(api: Api) -> bool:
    return api.http.get(f"/v1/models/{MODEL}").status_code == 200


@promise("the names `deepseek-chat` and `deepseek-reasoner`", documented=False)
def _(api: Api) -> bool:
    names = ("deepseek-chat", "deepseek-reasoner")
    told = [api.chat("/v1/chat/completions", model=name).get("message", {}) for name in names]
    return bool(told[0] and told[1].get("reasoning_content") and "reasoning_content" not in told[0])


@promise("`GET /user/balance`")
def _(api: Api) -> bool:
    answer = api.http.get("/user/balance")
    return answer.status_code == 200 and "is_available" in answer.json()


@promise("errors: `{error: {message, type, param, code}}` with a word as code")
def _(api: Api) -> bool:
    wrong: list[dict[str, Any]] = [{"model": "no-such"}, {"temperature": 9}, {"messages": []}]
    told = [api.post("/v1/chat/completions", **({"messages": SUM} | one)) for one in wrong]
    return all(
        answer.is_client_error and isinstance(answer.json()["error"]["code"], str)
        for answer in told
    )


@promise("errors: broken JSON is a 400 in the same shape")
def _(api: Api) -> bool:
    answer = api.http.post(
        "/v1/chat/completions", content=b'{"model": ', headers={"content-type": "application/json"}
    )
    return answer.status_code == 400 and isinstance(answer.json()["error"]["code"], str)


@promise("Responses: whole, reasoning as an item of its own")
def _(api: Api) -> bool:
    answer = api.post("/v1/responses", input="What is 17 + 25?", reasoning={"effort": "high"})
    kinds = [item["type"] for item in answer.json()["output"]] if answer.is_success else []
    return kinds == ["reasoning", "message"]


@promise("Responses: typed, numbered events from created to completed")
def _(api: Api) -> bool:
    body = {"input": "What is 17 + 25?", "reasoning": {"effort": "high"}}
    lines = api.events("/v1/responses", **body)
    wanted = ("response.created", "reasoning_text.delta", "output_text.done", "response.completed")
    return all(any(word in line for line in lines) for word in wanted)


@promise("Responses: JSON schema in `text.format`")
def _(api: Api) -> bool:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    form = {"type": "json_schema", "name": "who", "schema": schema}
    answer = api.post("/v1/responses", input="Anna is 31 years old.", text={"format": form})
    return answer.is_success


@promise("Messages: any `claude-…` name")
def _(api: Api) -> bool:
    return _message(api, model="claude-sonnet-4-5").get("type") == "message"


@promise("Messages: thinking blocks with a signature")
def _(api: Api) -> bool:
    told = _message(api, messages=SUM, thinking={"type": "enabled", "budget_tokens": 1024})
    return [(b["type"], bool(b.get("signature"))) for b in told.get("content", ())][:1] == [
        ("thinking", True)
    ]


@promise("Messages: `system`, tools and their results")
def _(api: Api) -> bool:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"name": "get_weather", "description": "The weather.", "input_schema": schema}]
    asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
    more: dict[str, Any] = {"tools": tools, "system": "Be brief."}
    told = _message(api, messages=asked, **more)
    called = [block for block in told.get("content", ()) if block["type"] == "tool_use"]
    if not called:
        return False
    result = {"type": "tool_result", "tool_use_id": called[0]["id"], "content": "12 degrees"}
    turns = [{"role": "assistant", "content": called}, {"role": "user", "content": [result]}]
    return "12" in str(_message(api, messages=[*asked, *turns], **more).get("content"))


@promise("Messages: an answer begun by the client", documented=False)
def _(api: Api) -> bool:
    begun = {"role": "assistant", "content": "17 + 25 = 4"}
    told = _message(api, messages=[*SUM, begun])
    return [block.get("text", "").strip() for block in told.get("content", ())] == ["2"]


@promise("Messages: errors in Anthropic's own shape", documented=False)
def _(api: Api) -> bool:
    told = api.post("/v1/messages", max_tokens=0, messages=CAPITAL).json()
    return bool(told.get("type") == "error" and told["error"]["type"] == "invalid_request_error")


@promise("Messages: `count_tokens`", documented=False)
def _(api: Api) -> bool:
    answer = api.post("/v1/messages/count_tokens", messages=CAPITAL)
    return answer.is_success and answer.json()["input_tokens"] > 5


@promise("files, and server-side tools (search, fetch, OCR, speech)")
def _(api: Api) -> bool:
    return all(api.http.get(path).status_code != 404 for path in ("/files", "/v1/tools/search"))


def _message(api: Api, **body: Any) -> dict[str, Any]:
    given = {"max_tokens": 400, "messages": CAPITAL, "thinking": OFF} | body
    answer = api.post("/v1/messages", **given)
    told: dict[str, Any] = answer.json() if answer.is_success else {}
    return told

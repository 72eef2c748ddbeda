"""The bytes vLLM 0.32 puts on the wire: SSE events of a chat stream, and its small answers.

Every event is framed as an HTTP chunk of its own, as uvicorn frames what vLLM yields.
Each delta's text ends in a serial number (`#007`), so that a client can tell loss from order.
"""

import json
from functools import lru_cache
from typing import Any, Final

MODEL: Final = "bench"
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK: Final = b"0\r\n\r\n"
METRICS: Final = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="bench"}} {running}.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="bench"}} 0.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{engine="0",model_name="bench"}} 0.1
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="bench"}} {tokens}.0
"""
_ID: Final = "chatcmpl-9f0c6d1b2a7e4c5f8d3e6a1b0c9d8e7f"
_CREATED: Final = 1_790_000_000
_PROMPT_TOKENS: Final = 240


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _usage(tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": _PROMPT_TOKENS,
        "total_tokens": _PROMPT_TOKENS + tokens,
        "completion_tokens": tokens,
    }


def _event(data: str) -> bytes:
    body = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


def _chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL}
    return _event(_compact({**head, "choices": choices, **more}))


def _delta(delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
    ends = {"logprobs": None, "finish_reason": finish, **more, "token_ids": None}
    return _chunk([{"index": 0, "delta": delta, **ends}])


def token(serial: int) -> str:
    """The text of one delta: about as long as a token, numbered."""
    return f" word#{serial:03d}"


@lru_cache(maxsize=64)
def steps(tokens: int, include_usage: bool) -> tuple[tuple[bytes, ...], ...]:
    """What the engine writes at each of its steps: the first half reasons, the rest answers."""
    half = tokens // 2
    fields = ["reasoning"] * half + ["content"] * (tokens - half)
    deltas = [_delta({field: token(serial)}) for serial, field in enumerate(fields)]
    opening = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None}
    role = _chunk([{**opening, "finish_reason": None}], prompt_token_ids=None, prompt_text=None)
    tail = [_delta({"content": ""}, "length", stop_reason=None)]
    if include_usage:
        tail.append(_chunk([], usage=_usage(tokens)))
    tail += [_event("[DONE]"), LAST_CHUNK]
    first, *rest = deltas
    return ((STREAM_HEAD, role, first), *((delta,) for delta in rest), tuple(tail))


def answer(body: bytes, content_type: str = "application/json", status: str = "200 OK") -> bytes:
    """A whole response with a known length."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@lru_cache(maxsize=64)
def completion(tokens: int) -> bytes:
    """The answer to a request that does not stream."""
    half = tokens // 2
    message = {
        "role": "assistant",
        "reasoning": "".join(token(serial) for serial in range(half)),
        "content": "".join(token(serial) for serial in range(half, tokens)),
        "tool_calls": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}
    head = {"id": _ID, "object": "chat.completion", "created": _CREATED, "model": MODEL}
    return answer(_compact({**head, "choices": [choice], "usage": _usage(tokens)}).encode())


@lru_cache(maxsize=1)
def models() -> bytes:
    """GET /v1/models with the one model, and the window vLLM names there."""
    card = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "vllm", "root": MODEL}
    data = [{**card, "parent": None, "max_model_len": 32768, "permission": []}]
    return answer(_compact({"object": "list", "data": data}).encode())

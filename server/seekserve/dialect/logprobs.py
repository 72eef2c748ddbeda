"""Log-probabilities: DeepSeek tells those of the reasoning apart from those of the answer. Pure.

vLLM puts all of them under `content`, in the order they were made.
"""

from __future__ import annotations

from typing import Any

END = "</think>"
_WHOLE, _APART = b'"logprobs":{"content":', b'"logprobs":{"reasoning_content":'


def told_apart(logprobs: Any, thought: bool, answered: bool) -> Any:
    """Of a message or delta that holds reasoning (`thought`), an answer (`answered`), or both."""
    if not isinstance(logprobs, dict) or not isinstance(tokens := logprobs.get("content"), list):
        return logprobs
    if not thought:
        return {"content": tokens}
    ends = [at for at, token in enumerate(tokens) if _is_end(token)]
    end = ends[0] + 1 if ends else (0 if answered else len(tokens))
    return {"reasoning_content": tokens[:end], "content": tokens[end:] or None}


def in_bytes(data: bytes) -> bytes:
    """The same in a stream's events: what comes with a delta of reasoning belongs to it."""
    if _WHOLE not in data:
        return data
    return b"\n\n".join([_event(event) for event in data.split(b"\n\n")])


def _event(event: bytes) -> bytes:
    thought = b'"reasoning_content":"' in event and b'"content":"' not in event
    return event.replace(_WHOLE, _APART, 1) if thought else event


def of_completion(told: Any) -> Any:
    """Text completions' form -> chat's, for an answer that was begun for the model."""
    if not isinstance(told, dict):
        return None
    tops = told.get("top_logprobs") or []
    tokens = [
        _token(token, logprob)
        | {
            "top_logprobs": [_token(*pair) for pair in (tops[at] or {}).items()]
            if at < len(tops)
            else []
        }
        for at, (token, logprob) in enumerate(
            zip(told.get("tokens") or (), told.get("token_logprobs") or (), strict=False)
        )
    ]
    return {"content": tokens}


def _token(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode(errors="replace"))}


def _is_end(token: Any) -> bool:
    return isinstance(token, dict) and token.get("token") == END

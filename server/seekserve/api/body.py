"""Reads a request's body: capped in bytes and seconds, parsed once, checked against a schema.

What is wrong is said in a sentence with the field's path; the value given is never repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from seekserve.api.schemas import Body, ChatRequest, CompletionRequest, Sampling
from seekserve.errors import BadRequest, ClientLeft, SlowBody, TooLarge
from seekserve.gateway.caps import Caps
from seekserve.settings import Limits

Model = TypeVar("Model", bound=Body)
MARKS = ((b"{", 250_000, "objects"), (b"[", 250_000, "lists"), (b",", 1_500_000, "commas"))
ROLES = "system, developer, user, assistant, tool"


async def read(request: Request, limits: Limits, caps: Caps) -> bytes:
    """The whole body. Raises TooLarge as soon as the cap is passed, SlowBody after `body_s`, and before
    anything is read what the key's caps say.
    """
    with caps.arriving(request.scope):
        return await _whole(request, limits)


async def _whole(request: Request, limits: Limits) -> bytes:
    cap = limits.body_mib << 20
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > cap:
        raise _too_large(limits)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.body_s):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft("The client hung up while it was sending.")
                parts.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(parts[-1])
                if size > cap:
                    raise _too_large(limits)
    except TimeoutError as error:
        raise SlowBody(
            f"The body did not arrive within {limits.body_s:.0f} s ({size} bytes came). Send it again."
        ) from error
    return b"".join(parts)


def parse(body: bytes, schema: type[Model]) -> Model:
    """The body as `schema`. Raises BadRequest naming the first field that does not fit, and TooLarge for
    more parts than a body of words has: each costs far more to check than its byte or two.
    """
    for mark, most, what in MARKS:
        if body.count(mark) > most:
            raise TooLarge(f"The body has more than {most} {what}, the most this server reads.")
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise _explain(error) from error


def check(asked: Sampling, limits: Limits) -> None:
    """The caps that are settings rather than part of the API, and the pairs that belong together."""
    _most("n", asked.n or 1, limits.choices)
    stops = asked.stop if isinstance(asked.stop, list) else []
    _most("stop", len(stops), limits.stop_strings, "strings")
    if asked.stream_options and not asked.stream:
        raise BadRequest("stream_options goes with stream=true only.", param="stream_options")
    if isinstance(asked, ChatRequest):
        _check_chat(asked, limits)
    elif isinstance(asked, CompletionRequest):
        _check_completion(asked, limits)


def _check_chat(asked: ChatRequest, limits: Limits) -> None:
    _most("messages", len(asked.messages), limits.messages)
    _most("tools", len(asked.tools or ()), limits.tools)
    _most("top_logprobs", asked.top_logprobs or 0, limits.top_logprobs)
    if asked.top_logprobs and not asked.logprobs:
        raise BadRequest("top_logprobs needs logprobs=true.", param="top_logprobs")
    if asked.tool_choice not in (None, "none", "auto") and not asked.tools:
        raise BadRequest("tool_choice asks for a tool, but tools is empty.", param="tool_choice")


def _check_completion(asked: CompletionRequest, limits: Limits) -> None:
    batch = isinstance(asked.prompt, list) and not all(isinstance(t, int) for t in asked.prompt)
    prompts = len(asked.prompt) if batch else 1
    _most("prompt", prompts * (asked.n or 1), limits.prompts, "sequences (prompts times n)")
    _most("logprobs", asked.logprobs or 0, limits.top_logprobs)
    if not asked.prompt:
        raise BadRequest("prompt is empty.", param="prompt")


def _most(param: str, given: int, cap: int, what: str = "") -> None:
    if given > cap:
        noun = f" {what}" if what else ""
        raise BadRequest(f"{param} is {given}{noun}; at most {cap} here.", param=param)


def _too_large(limits: Limits) -> TooLarge:
    return TooLarge(
        f"The body is over {limits.body_mib} MiB, the most this server takes. Send less."
    )


def _explain(error: ValidationError) -> BadRequest:
    """The deepest of the complaints: of a union's branches, the one that came furthest."""
    items = error.errors(include_input=False, include_url=False)
    worst = max(items, key=lambda item: len(item["loc"]))
    first, *rest = worst["loc"] or ("",)
    steps = [] if first in _FREE else [part for part in rest if not _is_branch(part)]
    path = ".".join(str(part)[:80] for part in (first, *steps))
    if worst["type"] == "json_invalid":
        return BadRequest(f"The body is not JSON: {worst['msg']}.", code="invalid_json")
    if worst["type"] == "model_type" and not path:
        return BadRequest("The body must be a JSON object.", code="invalid_json")
    if worst["type"].startswith("union_tag") and worst["ctx"]["discriminator"] != "'role'":
        return _wrong_tag(path, worst["ctx"])
    if worst["type"] == "union_tag_invalid":  # pydantic's own words repeat what was given
        return BadRequest(f"{path}.role is none of {ROLES}.", param=f"{path}.role")
    if worst["type"] == "union_tag_not_found":
        return BadRequest(f"{path}.role is missing.", param=f"{path}.role")
    if worst["type"] == "missing":
        return BadRequest(f"{path} is missing.", param=path)
    return BadRequest(f"{path}: {_sentence(worst['msg'])}", param=path)


def _wrong_tag(path: str, about: Mapping[str, Any]) -> BadRequest:
    """Of a block or item whose kind is not known; pydantic's own words repeat what was given."""
    field = f"{path}.{about['discriminator'].strip(chr(39))}"
    if "expected_tags" not in about:
        return BadRequest(f"{field} is missing.", param=field)
    known = about["expected_tags"].replace("'", "")
    return BadRequest(f"{field} is none of those read here: {known}.", param=field)


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:] + ("" if text.endswith(".") else ".")


def _is_branch(part: int | str) -> bool:
    """Whether a step of a path is pydantic's name for a union's branch rather than a field."""
    return isinstance(part, str) and (
        part in _BRANCHES or "[" in part or (part[:1].isupper() and part.isidentifier())
    )


_BRANCHES = frozenset({"str", "system", "developer", "user", "assistant", "tool", "int"})
_FREE = ("logit_bias", "metadata")  # their keys are the client's own, and not repeated

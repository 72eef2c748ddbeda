"""POST /responses, OpenAI's newer API, stateless: its schema and its endpoint.

What belongs to a memory (GET, DELETE and the rest under /responses/{id}) is a 404 that says why.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from seekserve.api import body
from seekserve.api.named import Names, ask
from seekserve.api.openai import PREFIXES
from seekserve.api.schemas import FEW, MOST, Body, Many, Thinking, few, no_media
from seekserve.api.straight import Endpoint
from seekserve.dialect import responses
from seekserve.engine.fleet import Fleet
from seekserve.errors import BadRequest, NotFound
from seekserve.gateway.record import trace_of
from seekserve.gateway.relay import Gateway, Relay
from seekserve.settings import Limits, Tier

SERVED = {
    "message": "Message",
    "function_call": "Call",
    "function_call_output": "Result",
    "reasoning": "Reasoning",
}


Key = Annotated[str, Field(max_length=64)]
Value = Annotated[str, Field(max_length=512)]
"""What is sent back with every event is kept short, as OpenAI does."""


class InputPart(BaseModel):
    """Text models read text: an image or file is refused with its type named."""

    type: Annotated[Literal["input_text", "output_text", "text"], BeforeValidator(no_media)]
    text: str


class ReasoningPart(BaseModel):
    type: Literal["reasoning_text", "summary_text"]
    text: str


class MessageItem(BaseModel):
    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Many[InputPart]


class CallItem(BaseModel):
    type: Literal["function_call"]
    call_id: str
    name: str = Field(max_length=128)
    arguments: str = Field(description="The arguments as JSON text.")


class ResultItem(BaseModel):
    type: Literal["function_call_output"]
    call_id: str
    output: str | Many[InputPart]


class ReasoningItem(BaseModel):
    type: Literal["reasoning"]
    summary: Many[ReasoningPart] | None = None
    content: Many[ReasoningPart] | None = None


def _kind(item: Any) -> str | None:
    """Which branch an item belongs to, as JSON or parsed; a message may come without a type."""
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", "")
    kind = "message" if kind is None else kind
    return SERVED.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[MessageItem, Tag("Message")]
    | Annotated[CallItem, Tag("Call")]
    | Annotated[ResultItem, Tag("Result")]
    | Annotated[ReasoningItem, Tag("Reasoning")],
    Discriminator(
        _kind,
        custom_error_type="item_type",
        custom_error_message=f"its type is none of {', '.join(SERVED)}",
    ),
]


class FunctionTool(BaseModel):
    """A tool. Types other than function are read so that they can be refused by name."""

    type: str = Field("function", max_length=64)
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,128}$")
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="A JSON schema.")
    strict: bool | None = None


class NamedFunctionTool(BaseModel):
    type: Literal["function"]
    name: str = Field(max_length=128)


class ReasoningOptions(BaseModel):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"] | None = (
        None
    )


class TextFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = Field(None, max_length=128)
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(BaseModel):
    format: TextFormat | None = None


class ResponsesRequest(Body):
    """POST /responses"""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())
    model: str = Field(min_length=1, max_length=256)
    input: str | Annotated[Many[Item], Field(min_length=1)]
    instructions: str | None = None
    stream: bool | None = Field(False, description="Answer as server-sent events.")
    max_output_tokens: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Most tokens to generate, reasoning included; the tier's default else.",
    )
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    reasoning: ReasoningOptions | None = None
    thinking: Thinking | None = None
    text: TextOptions | None = None
    tools: Many[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunctionTool | None = None
    parallel_tool_calls: bool | None = None
    metadata: Annotated[dict[Key, Value], BeforeValidator(few)] | None = Field(
        None, max_length=FEW, description="Sent back as is."
    )
    store: bool | None = Field(None, description="Without effect: nothing is stored.")
    user: Value | None = None
    safety_identifier: Value | None = None
    prompt_cache_key: Value | None = None
    background: bool | None = None
    previous_response_id: str | None = Field(None, description="Refused: nothing is stored.")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Refused above 0.")


class Responses:
    """The endpoint, on one fleet and one gateway."""

    def __init__(self, fleet: Fleet, gateway: Gateway, tier: Tier) -> None:
        self._gateway, self._tier, self._names = gateway, tier, Names(fleet, tier)

    async def create(self, request: Request) -> Response:
        """Answer input with items. Streams when `stream` is true. Nothing is stored."""
        trace, limits = trace_of(request.scope), self._tier.limits
        trace.route = "responses"
        asked = body.parse(await body.read(request, limits, self._gateway.caps), ResponsesRequest)
        _check(asked, limits)
        named = self._names.find(request, asked.model)
        given = asked.model_dump(exclude_unset=True, by_alias=True) | {"model": named.model}
        wanted = responses.to_engine(given, named.terms)
        accent = responses.Responses(given, wanted, limits.answer_mib << 20)
        return Relay(self._gateway, ask(wanted, accent, bool(asked.stream)))

    async def stored(self, request: Request, rest: str) -> Response:
        """What there is to be had of an earlier response: nothing."""
        trace_of(request.scope).route = "responses"
        raise NotFound(
            "Responses are not stored here: an answer is sent once, to the request that asked.",
            code="response_not_found",
        )


def _check(asked: ResponsesRequest, limits: Limits) -> None:
    items = asked.input if isinstance(asked.input, list) else []
    for param, given, cap in (
        ("input", items, limits.messages),
        ("tools", asked.tools or [], limits.tools),
    ):
        if len(given) > cap:
            raise BadRequest(f"{param} is {len(given)}; at most {cap} here.", param=param)


def straight(endpoints: Responses) -> dict[str, Endpoint]:
    """The hot routes, by exact path."""
    return {f"{at}/responses": endpoints.create for at in PREFIXES}


def router(endpoints: Responses) -> APIRouter:
    """The table of routes."""
    routes = APIRouter(tags=["inference"], default_response_class=Response)
    schema = {"x-schema": ResponsesRequest.__name__}
    for at in PREFIXES:
        create = {"include_in_schema": at == "/v1", "openapi_extra": schema}
        routes.post(f"{at}/responses", **create)(endpoints.create)  # type: ignore[arg-type]
        for method in ("GET", "DELETE", "POST"):
            path = at + "/responses/{rest:path}"
            routes.add_api_route(path, endpoints.stored, methods=[method], include_in_schema=False)
    return routes

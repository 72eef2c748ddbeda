"""Request bodies as they are accepted, with ranges and defaults: what /docs shows and what is checked.

Unknown fields are dropped, as DeepSeek's API does; the engine's private ones are refused by name in
`dialect.fields`, so they are kept here just long enough to be seen.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticCustomError, PydanticKnownError

T = TypeVar("T")
MOST = 2**31 - 1  # of what the engine keeps as an int32; JSON knows no bound
MEDIA = frozenset(
    """
    image image_url input_image image_pil image_embeds video video_url input_video audio audio_url
    input_audio audio_embeds prompt_embeds file file_url input_file document
    """.split()
)
"""Parts of content that some API or engine knows and no text model reads."""
FEW = 16
Many = Annotated[list[T], Field(fail_fast=True)]
"""A list that is read up to its first fault: each fault costs a thousand times the byte that makes it."""
Token = Annotated[int, Field(ge=0, le=MOST)]
Tokens = Many[Token]
Prompts = str | Many[str] | Tokens | Many[Tokens]
Bias = Annotated[float, Field(ge=-100, le=100)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
_BIASES = TypeAdapter(Many[Bias], config=ConfigDict(allow_inf_nan=False))


class Body(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())


def no_media(kind: Any) -> Any:
    """Refuses by name what points at an image, a sound or a file: nothing here fetches or reads any."""
    if isinstance(kind, str) and kind in MEDIA:
        raise PydanticCustomError(
            "media", f"{kind} is not read here: the models are for text. Send text parts alone"
        )
    return kind


def few(given: Any) -> Any:
    """Refuses an object of more than FEW fields before each of them may be a fault."""
    if isinstance(given, dict) and len(given) > FEW:
        about = {"field_type": "Dictionary", "max_length": FEW, "actual_length": len(given)}
        raise PydanticKnownError("too_long", about)
    return given


def biases(given: Any) -> Any:
    """Refuses the first wrong one of an object's values: objects have no `fail_fast` of their own."""
    if isinstance(given, dict):
        _BIASES.validate_python(list(given.values()))
    return given


Text = Annotated[Literal["text"], BeforeValidator(no_media)]


class Part(BaseModel):
    """Content in parts. Text models read text: an image or file is refused with its type named."""

    model_config = ConfigDict(extra="forbid")
    type: Text
    text: str


Content = str | Many[Annotated[Part, BeforeValidator(few)]]


class FunctionCall(BaseModel):
    name: str = Field(max_length=128)
    arguments: str = Field(description="The arguments as JSON text.")


class ToolCall(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class SystemMessage(BaseModel):
    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserMessage(BaseModel):
    role: Literal["user"]
    content: Content
    name: str | None = None


class AssistantMessage(BaseModel):
    role: Literal["assistant"]
    content: Content | None = None
    reasoning_content: str | None = None
    tool_calls: Many[ToolCall] | None = None
    name: str | None = None
    prefix: bool | None = Field(
        None, description="The answer begins with this content; on the last message only."
    )


class ToolMessage(BaseModel):
    role: Literal["tool"]
    content: Content
    tool_call_id: str


Message = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class Function(BaseModel):
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="A JSON schema.")
    strict: bool | None = None


class Tool(BaseModel):
    type: Literal["function"] = "function"
    function: Function


class NamedFunction(BaseModel):
    name: str = Field(max_length=128)


class NamedTool(BaseModel):
    type: Literal["function"] = "function"
    function: NamedFunction


class Thinking(BaseModel):
    type: Literal["enabled", "disabled"]
    budget_tokens: int | None = Field(None, ge=0, le=MOST, description="Most tokens to think for.")


class JsonSchema(BaseModel):
    name: str = Field(max_length=128)
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    include_usage: bool | None = False


class Repetition(BaseModel):
    """The engine looks for it at every token, in time that grows with the square of these."""

    max_pattern_size: int = Field(0, ge=0, le=64, description="Tokens.")
    min_pattern_size: int = Field(0, ge=0, le=64)
    min_count: int = Field(0, ge=0, le=64)


class TemplateSwitches(BaseModel):
    model_config = ConfigDict(extra="allow")
    thinking: bool | None = None
    enable_thinking: bool | None = None


class Sampling(Body):
    """What chat and text completions share."""

    model: str = Field(min_length=1, max_length=256)
    stream: bool | None = Field(False, description="Answer as server-sent events.")
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Most tokens to generate, reasoning included; the tier's default else.",
    )
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MOST)
    min_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    n: int | None = Field(
        None, ge=1, le=MOST, description="Answers per prompt; the server caps it."
    )
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    stop: str | Many[str] | None = Field(None, description="Up to 16 strings that end the answer.")
    stop_token_ids: Tokens | None = Field(None, max_length=64)
    bad_words: Many[str] | None = Field(None, max_length=64)
    allowed_token_ids: Tokens | None = None
    logit_bias: Annotated[dict[str, Bias], BeforeValidator(biases)] | None = None
    min_tokens: int | None = Field(None, ge=0, le=MOST)
    ignore_eos: bool | None = None
    include_stop_str_in_output: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    thinking_token_budget: int | None = Field(None, ge=-1, le=MOST)
    user_id: str | None = Field(
        None,
        max_length=512,
        description="Your user: keeps its part of the prefix cache apart from others'.",
    )
    repetition_detection: Repetition | None = None
    response_format: ResponseFormat | None = None


class ChatRequest(Sampling):
    """POST /chat/completions"""

    messages: Many[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(
        None, ge=1, le=MOST, description="OpenAI's name for max_tokens."
    )
    thinking: Thinking | None = None
    reasoning_effort: (
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"] | None
    ) = None
    include_reasoning: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0)
    tools: Many[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: TemplateSwitches | None = None


class CompletionRequest(Sampling):
    """POST /completions"""

    prompt: Prompts
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0)

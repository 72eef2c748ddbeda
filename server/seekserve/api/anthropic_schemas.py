"""Bodies of Anthropic's Messages API as they are accepted.

Fields that are not named here are dropped (betas bring new ones all the time); the engine's private
ones are refused in `dialect.fields`. Of content blocks, those that a text model can read are taken.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from seekserve.api.schemas import MOST, Body, Many

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]


class TextBlock(BaseModel):
    type: Literal["text"]
    text: str


class ThinkingBlock(BaseModel):
    """The model's own, from an earlier answer. The signature is taken as it comes, checked by nobody."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(BaseModel):
    """Another model's: dropped, for nobody here can read it."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(BaseModel):
    type: Literal["tool_use", "server_tool_use"]
    id: str = Field(min_length=1)
    name: str = Field(max_length=128)
    input: dict[str, Any]


class ToolResultBlock(BaseModel):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | Many[TextBlock] | None = None
    is_error: bool | None = None


class SearchResultBlock(BaseModel):
    type: Literal["web_search_tool_result"]
    tool_use_id: str
    content: Any = None


Block = Annotated[
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | SearchResultBlock,
    Field(discriminator="type"),
]


class Turn(BaseModel):
    role: Literal["user", "assistant", "system"]
    content: str | Many[Block]


class MessagesTool(BaseModel):
    """A tool of the client's. Those that Anthropic defines are read so as to be refused by name."""

    type: str | None = Field(None, max_length=128)
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")
    description: str | None = None
    input_schema: dict[str, Any] | None = Field(None, description="A JSON schema.")
    strict: bool | None = None


class MessagesToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = Field(None, max_length=128, description="Which, with type tool.")
    disable_parallel_tool_use: bool | None = None


class MessagesThinking(BaseModel):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = Field(
        None,
        ge=0,
        le=MOST,
        description="Most tokens to think for, where the engine keeps such a budget.",
    )


class OutputFormat(BaseModel):
    model_config = ConfigDict(protected_namespaces=())
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(BaseModel):
    effort: Effort | None = None
    format: OutputFormat | None = None


class Metadata(BaseModel):
    user_id: str | None = Field(
        None,
        max_length=1024,
        description="Your user: keeps its part of the prefix cache apart from others'.",
    )


class CountTokensRequest(Body):
    """POST /v1/messages/count_tokens"""

    model: str = Field(min_length=1, max_length=256)
    messages: Many[Turn] = Field(min_length=1)
    system: str | Many[TextBlock] | None = None
    tools: Many[MessagesTool] | None = None
    tool_choice: MessagesToolChoice | None = None
    thinking: MessagesThinking | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None


class MessagesRequest(CountTokensRequest):
    """POST /v1/messages"""

    max_tokens: int = Field(
        ge=1, le=MOST, description="Most tokens to generate, thinking included."
    )
    stream: bool | None = Field(False, description="Answer as server-sent events.")
    stop_sequences: Many[str] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=MOST)

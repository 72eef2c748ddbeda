"""Which request fields reach the engine, which are accepted without effect, and which are refused.

An allow-list by name. A test holds it against the installed vLLM's own request models: every field
the engine knows is in exactly one list, so a new vLLM cannot open a door unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seekserve.errors import BadRequest

SAMPLING = frozenset(
    """
    allowed_token_ids bad_words frequency_penalty ignore_eos include_stop_str_in_output logit_bias
    logprobs max_tokens min_p min_tokens n presence_penalty repetition_detection repetition_penalty
    response_format seed skip_special_tokens spaces_between_special_tokens stop stop_token_ids
    temperature thinking_token_budget top_k top_p
    """.split()
)
"""Passed on as they are, in both APIs."""

CHAT = SAMPLING | frozenset(
    """
    include_reasoning max_completion_tokens messages parallel_tool_calls reasoning_effort tool_choice
    tools top_logprobs
    """.split()
)
COMPLETIONS = SAMPLING | frozenset("echo prompt suffix".split())

HANDLED = frozenset("chat_template_kwargs model stream stream_options thinking user_id".split())
"""Read and translated by us."""

IGNORED = frozenset(
    """
    audio metadata modalities prediction prompt_cache_key safety_identifier service_tier store user
    verbosity best_of
    """.split()
)
"""Known to some client's API, accepted, and without effect here."""

REFUSED = frozenset(
    """
    add_generation_prompt add_special_tokens cache_salt chat_template continue_final_message documents
    ec_transfer_params kv_transfer_params length_penalty logprob_token_ids media_io_kwargs mm_payload
    mm_processor_kwargs priority prompt_embeds prompt_logprobs request_id return_mm_kwargs
    return_prompt_text return_token_ids return_token_offsets return_tokens_as_token_ids
    routed_experts_prompt_start session_id stream_interval structured_outputs truncate_prompt_tokens
    truncation_side use_beam_search vllm_xargs watermarking
    """.split()
)
"""The engine's private fields: they steer scheduling, caches, templates or memory of a shared engine."""

TEMPLATE_SWITCHES = frozenset({"thinking", "enable_thinking"})


def refuse_private(given: Mapping[str, Any]) -> None:
    """Raises BadRequest for a private field that asks for something; null and false ask for nothing."""
    for name, value in given.items():
        if name in REFUSED and value is not None and value is not False:
            raise BadRequest(
                f"The field {name!r} belongs to the engine and is not open to clients. Leave it out.",
                param=name,
                code="unsupported_parameter",
            )


def passed(given: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    """The allowed fields that were given a value. Everything else is dropped."""
    return {k: v for k, v in given.items() if k in allowed and v is not None}

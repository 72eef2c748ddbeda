"""Runs inside vLLM, not in the gateway: a reasoning parser that counts what DeepSeek's models think.

DeepSeek's chat templates open `<think>` in the prompt. vLLM 0.32's own `deepseek_v3` parser counts only
tokens between markers it sees in the output, so its usage says 0 reasoning tokens, and it cannot name
its markers at start-up. This one differs in these two points and nothing else. The engine is given this
file with --reasoning-parser-plugin (see plan.command).
"""

from __future__ import annotations

from collections.abc import Sequence

from vllm.reasoning import ReasoningParserManager
from vllm.reasoning.deepseek_r1_reasoning_parser import DeepSeekR1ReasoningParser
from vllm.reasoning.deepseek_v3_reasoning_parser import DeepSeekV3ReasoningParser

NAME = "seekserve_deepseek"


@ReasoningParserManager.register_module(NAME)
class CountingParser(DeepSeekV3ReasoningParser):  # type: ignore[misc]
    @property
    def reasoning_start_str(self) -> str:
        return "<think>"

    @property
    def reasoning_end_str(self) -> str:
        return "</think>"

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """Generated tokens before `</think>`, all of them when it never came; 0 with thinking off."""
        parser = self._parser
        if not isinstance(parser, DeepSeekR1ReasoningParser):
            return 0
        ids = list(token_ids)
        end = ids.index(parser.end_token_id) if parser.end_token_id in ids else len(ids)
        return end - ids[:end].count(parser.start_token_id)

"""Where a stream broke off whose engine was lost: what was made of it, what was told, and what to ask of
another engine. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seekserve.errors import EngineBroke
from seekserve.gateway.kept import Kept

THINK, END_OF_THOUGHT = "<think>", "</think>"
PASSED = (
    "model", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "seed", "logit_bias", "stop_token_ids", "ignore_eos", "priority", "cache_salt",
    "skip_special_tokens", "spaces_between_special_tokens", "bad_words", "allowed_token_ids",
    "include_stop_str_in_output", "repetition_detection",
)  # fmt: skip


@dataclass
class Seam:
    """Where an answer broke off. `unsaid` is text that was made and not told, `thought` and then content;
    `thinking` says that more reasoning follows, `ended` that a thought did; `end_id` is the token that ends
    it. `spoke` counts the content among what was told.
    """

    asked: dict[str, Any]
    kept: Kept
    chat: bool
    end_id: int | None
    thought: str = ""
    unsaid: str = ""
    thinking: bool = False
    ids: list[int] = field(default_factory=list)
    ended: bool = False
    spoke: int = 0

    @classmethod
    def at(
        cls,
        asked: dict[str, Any],
        kept: Kept,
        chat: bool,
        ids: list[int],
        text: str,
        end: list[int],
    ) -> Seam:
        """`text` is what `ids` come to. Raises EngineBroke where that is not what the client was told."""
        made = text.removeprefix(THINK) if chat else text
        thought, ended, content = made.partition(END_OF_THOUGHT) if chat else ("", "", made)
        told = kept.told
        if not (thought + content).startswith(told):
            raise EngineBroke(
                "The answer broke off, and could not be taken up: its text is another."
            )
        thinking = chat and not ended and kept.reasoning
        if not ended and not thinking:
            thought, content = "", thought + content
        left = max(0, len(told) - len(thought))
        end_id = end[0] if len(end) == 1 else None
        unsaid = thought[len(told) :], content[left:]
        return cls(asked, kept, chat, end_id, *unsaid, thinking, ids, bool(ended), left)

    @property
    def left(self) -> int:
        """Tokens that it may still make."""
        return int(self.asked.get("max_tokens") or 0) - len(self.ids)

    def request(self) -> dict[str, Any]:
        """The body for /v1/completions."""
        asked = {name: self.asked[name] for name in PASSED if name in self.asked}
        asked["prompt"] = [*self.kept.prompt_ids, *self.ids]
        asked |= {"max_tokens": self.left, "stream": True}
        asked |= {"stream_options": {"include_usage": True}, "return_token_ids": True}
        if least := int(self.asked.get("min_tokens") or 0) - len(self.ids):
            asked["min_tokens"] = max(0, least)
        budget = self.asked.get("thinking_token_budget")
        if budget and self.thinking:
            asked["thinking_token_budget"] = max(1, budget - len(self.ids))
        if (tops := self.tops) is not None:
            asked["logprobs"] = tops
        return asked

    @property
    def tops(self) -> int | None:
        """Log-probabilities asked for beside the token's own; None for none at all."""
        if not self.chat:
            return self.asked.get("logprobs")
        return int(self.asked.get("top_logprobs") or 0) if self.asked.get("logprobs") else None

"""What a model's chat format can do, as far as the dialects ask. A value; `plan.families` fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Manner:
    """`thinking`: hybrid formats have a switch, others always or never do; unknown ones are asked as
    if they had it. `fim`: how a prompt with a suffix is told, by vLLM's own field or by DeepSeek's
    three markers in the text, or not at all. `effort`: whether the template knows levels of effort.
    `budget`: whether the engine is known to end the thinking after a number of tokens,
    `priority` whether it is known to schedule by it.
    """

    family: str = ""
    thinking: Literal["always", "hybrid", "never", "unknown"] = "unknown"
    fim: Literal["field", "markers", "no"] = "field"
    effort: bool = True
    budget: bool = False
    priority: bool = False


UNKNOWN = Manner()
"""An engine whose model is not in the catalog: everything is tried, the engine has the last word."""

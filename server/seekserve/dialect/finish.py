"""Why an answer ended: vLLM's words -> those that clients know. Pure."""

from __future__ import annotations

import re
from typing import Any

WORDS = {"abort": "insufficient_system_resource", "repetition": "length"}
"""vLLM ends an answer with `abort` when it gives it up itself, which is DeepSeek's
insufficient_system_resource, and with `repetition` when it cuts off a loop: it is cut, not complete.
"""
CUT = frozenset({"length", "repetition"})
"""An answer that was cut off, whoever cut it."""
GAVE_UP = frozenset({"abort", "aborted", "error", "insufficient_system_resource"})
"""An answer that its engine gave up: vLLM's words, and DeepSeek's."""
_SAID = re.compile(rb'"finish_reason":\s*"(abort|repetition)"')


def finish(reason: Any) -> Any:
    return WORDS.get(reason, reason) if isinstance(reason, str) else reason


def in_bytes(data: bytes) -> bytes:
    """The same in events that were not parsed."""
    return _SAID.sub(
        lambda found: b'"finish_reason":"%b"' % WORDS[found[1].decode()].encode(), data
    )

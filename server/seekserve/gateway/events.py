"""What an engine's events are, as bytes: where the first begins, which says a thing, which is well formed."""

from __future__ import annotations

import json
import re
from typing import Any

TEXT = re.compile(rb'"(?:content|reasoning|text)":\s*"((?:[^"\\]|\\.)+)"')
_BLANKS = re.compile(rb"\n{3,}")


def well_formed(told: Any) -> bool:
    """Whether an engine's answer or event has its choices and usage in the shape all APIs share."""
    if not isinstance(told, dict):
        return False
    choices, usage = told.get("choices") or [], told.get("usage") or {}
    return (
        isinstance(choices, list)
        and all(isinstance(choice, dict) for choice in choices)
        and isinstance(usage, dict)
    )


def without_blanks(whole: bytes) -> bytes:
    """Events begin right after one blank line; more of them say nothing."""
    return _BLANKS.sub(b"\n\n", whole) if b"\n\n\n" in whole else whole


def first_event(whole: bytes) -> int:
    """Where the first event with data begins; what stands before it are comments."""
    at = whole.find(b"data:")
    if at < 0:
        return len(whole)
    before = whole.rfind(b"\n\n", 0, at)
    return before + 2 if before >= 0 else 0


def has_token(whole: bytes) -> bool:
    """Whether more is in here than comments and opening events, which name a role and say nothing."""
    return any(
        b"data:" in event and (b'"role":' not in event or TEXT.search(event) is not None)
        for event in whole.split(b"\n\n")
    )


def opening_error(whole: bytes) -> Any:
    """The error that an engine tells in the place of its first token; None where it tells none."""
    if b'"error"' not in whole:
        return None
    said = (
        event for event in whole.split(b"\n\n") if b"data:" in event and b'"role":' not in event
    )
    try:
        told = json.loads(next(said, b"").removeprefix(b"data:"))
    except ValueError:
        return None
    return told.get("error") if isinstance(told, dict) else None


def error_text(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return str(text)[:300]

"""Foreign text made safe for a terminal: what would be obeyed is shown instead. Pure.

Models can be made to say anything: escape sequences that retitle a window or rewrite what stands above,
characters that turn the direction of reading, or ones that nobody sees.
"""

from __future__ import annotations

import re
import unicodedata

OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of control characters, formats, halves of pairs, and separators of lines."""
KEPT = frozenset(
    "\n\t\u200c\u200d"
)  # lines, tabs, and the joiners that scripts and emoji are written with
PICTURES = 0x2400
ELLIPSIS = "…"
BLANKS = re.compile(r"[ \t\n]+")


def inert(text: str) -> str:
    """The text as it may be written to a terminal, its lines and tabs as they were."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def line(text: object, most: int = 200) -> str:
    """On one line, of so many characters at most."""
    told = BLANKS.sub(" ", str(text)).strip()
    return inert(told if len(told) <= most else told[: most - 1] + ELLIPSIS)


def _shown(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in OBEYED:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(PICTURES + code)
    if code == 0x7F:
        return "␡"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

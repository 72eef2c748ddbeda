"""Where a request stands in a distributed trace: W3C's `traceparent` and `tracestate`. Pure.

What a client sends is taken only where the standard (Trace Context, level 2) calls it valid, and is
never an error. So a trace's id is 32 lower-case hexadecimal digits wherever it goes: into a log line, a
header or a span.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from random import getrandbits

SAMPLED, RANDOM = 0x01, 0x02
"""All the flags there are; the others are to be zero in what is sent on."""
MEMBERS, LENGTH = 32, 512
LONG = 128  # members longer than this are the first to go where all are too long together

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_*/@-]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Context:
    """A trace, a span in it (both in hexadecimal), its flags, and what tracers noted on the way."""

    trace: str
    span: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    def child(self) -> Context:
        """A new span in the same trace."""
        return Context(self.trace, span_id(), self.flags, self.state)

    def headers(self) -> bytes:
        """As lines of an HTTP head."""
        lines = f"traceparent: 00-{self.trace}-{self.span}-{self.flags:02x}\r\n"
        if self.state:
            lines += f"tracestate: {self.state}\r\n"
        return lines.encode("ascii")


def span_id() -> str:
    """Made as OpenTelemetry's SDK makes them: they must differ, and are no secret."""
    return f"{getrandbits(64) or 1:016x}"


def read(headers: Headers) -> Context | None:
    """What a request says of where it comes from; None where that is nothing, or nothing valid."""
    parents, states = [], []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(parents) != 1:
        return None
    found = _PARENT.fullmatch(parents[0].strip(b" \t"))
    return _context(found, states) if found else None


def _context(found: re.Match[bytes], states: list[bytes]) -> Context | None:
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more):
        return None
    if not (trace.strip(b"0") and span.strip(b"0")):
        return None
    known = int(flags, 16) & (SAMPLED | RANDOM)
    return Context(trace.decode(), span.decode(), known, state_of(states))


def state_of(values: list[bytes]) -> str:
    """The header's lines as one, in their order; "" where any part is not as the standard has it."""
    text = b",".join(values).decode("latin-1")
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    if len(members) > MEMBERS:
        return ""
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {one[1] for one in found if one}
    return _shortened(members) if len(keys) == len(members) else ""


def _shortened(members: list[str]) -> str:
    """Long members go first, then the last ones, which are the oldest; never a part of one."""
    if len(",".join(members)) > LENGTH:
        members = [member for member in members if len(member) <= LONG]
    while len(text := ",".join(members)) > LENGTH:
        members = members[:-1]
    return text

"""W3C Trace Context: what is taken from clients, what is not, and what is sent on.

What counts as valid is the standard's own text (level 2, 3.2 and 3.3); OpenTelemetry's reader is asked
beside ours.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as otel
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from seekserve.gateway.context import LENGTH, LONG, MEMBERS, Context, read, state_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
HEX = "0123456789abcdef"
SAFE = re.compile(
    rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\r\n(tracestate: [\x20-\x7e]{1,512}\r\n)?"
)
ids = st.tuples(st.text(HEX, min_size=32, max_size=32), st.text(HEX, min_size=16, max_size=16))
real_ids = ids.filter(lambda pair: all(part.strip("0") for part in pair))
keys = st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=",="),
    min_size=1,
    max_size=40,
).filter(lambda text: text.strip(" ") == text)
states = st.dictionaries(keys, values, min_size=1, max_size=MEMBERS)


def told(*lines: tuple[str, str]) -> Context | None:
    return read([(name.encode(), value.encode("latin-1")) for name, value in lines])


def parsed(parent: str) -> Context | None:
    return told(("traceparent", parent))


@given(real_ids, st.integers(0, 255))
def test_what_is_valid_is_taken(pair: tuple[str, str], flags: int) -> None:
    found = parsed(f"00-{pair[0]}-{pair[1]}-{flags:02x}")
    assert found == Context(*pair, flags & 3)
    assert found.sampled == bool(flags & 1)


@given(real_ids, st.integers(0, 255), states)
def test_opentelemetry_reads_what_we_send_as_it_was(
    pair: tuple[str, str], flags: int, state: dict[str, str]
) -> None:
    text = ",".join(f"{key}={value}" for key, value in state.items())
    parent = f"00-{pair[0]}-{pair[1]}-{flags:02x}"
    found = told(("traceparent", parent), ("tracestate", text))
    assert found
    lines = found.headers().decode().split("\r\n")
    carrier = dict(line.split(": ", 1) for line in lines if line)
    seen = otel.get_current_span(TraceContextTextMapPropagator().extract(carrier))
    context = seen.get_span_context()
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == pair
    assert context.trace_flags.sampled == bool(flags & 1)
    if len(text) <= LENGTH:
        assert carrier["tracestate"] == text


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 x",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"ff-{TRACE}-{SPAN}-01",
        f"FF-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01more",
        f"00_{TRACE}_{SPAN}_01",
        f"{PARENT},{PARENT}",
        PARENT.replace("4", "\u00bd", 1),
        f"00-{TRACE[:-1]}\n-{SPAN}-01",
    ],
)
def test_what_is_not_is_as_if_it_were_not_there(parent: str) -> None:
    assert parsed(parent) is None


@pytest.mark.parametrize("parent", [f" {PARENT}\t", f"cc-{TRACE}-{SPAN}-01", f"01-{PARENT[3:]}-x"])
def test_space_around_it_and_later_versions_are_borne(parent: str) -> None:
    """Of a later version as much is read as this one knows, and told as this one."""
    found = parsed(parent)
    assert found == Context(TRACE, SPAN, 1)
    assert found.headers() == f"traceparent: {PARENT}\r\n".encode()


def test_two_of_them_are_none() -> None:
    assert told(("traceparent", PARENT), ("traceparent", PARENT)) is None


def test_a_state_alone_is_nothing() -> None:
    assert told(("tracestate", "a=1")) is None


@given(st.text(st.characters(max_codepoint=255), max_size=80), st.binary(max_size=600))
def test_nothing_gets_into_a_head_or_a_line(parent: str, state: bytes) -> None:
    for start in ("", f"00-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-"):
        lines = [(b"traceparent", (start + parent).encode("latin-1")), (b"tracestate", state)]
        if found := read(lines):
            assert SAFE.fullmatch(found.headers())
            assert re.fullmatch(r"[0-9a-f]{32}", found.trace)


@given(states)
def test_a_state_is_taken_as_it_is(state: dict[str, str]) -> None:
    members = [f"{key}={value}" for key, value in state.items()]
    whole = ",".join(members)
    if len(whole) <= LENGTH:
        assert state_of([whole.encode()]) == whole
        assert state_of([one.encode() for one in members]) == whole  # one header or many
        assert state_of([" , \t".join(["", *members, ""]).encode()]) == whole


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "=1",
        "a=",
        "A=1",
        "_a=1",
        "a=1,b",
        "a=1=2",
        "a=1,a=2",
        "a b=1",
        "a=\u00fc",
        "a=1\r\nx-evil: 1",
        "a" * 257 + "=1",
        "a=" + "x" * 257,
        ",".join(f"k{n}=1" for n in range(MEMBERS + 1)),
    ],
)
def test_a_malformed_state_is_dropped_whole_and_the_parent_kept(state: str) -> None:
    assert told(("traceparent", PARENT), ("tracestate", state)) == Context(TRACE, SPAN, 1)


def test_a_state_that_is_too_long_loses_its_long_members_first() -> None:
    short = [f"k{n}={n:040}" for n in range(9)]
    long = "big=" + "x" * LONG
    assert state_of([",".join([long, *short]).encode()]) == ",".join(short)


def test_then_the_oldest_and_never_a_part_of_one() -> None:
    members = [f"k{n}={'x' * 100}" for n in range(MEMBERS)]
    assert state_of([",".join(members).encode()]) == ",".join(members[:4])


@given(real_ids, st.integers(0, 3), states)
def test_a_child_is_another_span_of_the_same_trace(
    pair: tuple[str, str], flags: int, state: dict[str, str]
) -> None:
    kept = state_of([",".join(f"{k}={v}" for k, v in state.items()).encode()])
    parent = Context(*pair, flags, kept)
    one, other = parent.child(), parent.child()
    assert (one.trace, one.flags, one.state) == (parent.trace, parent.flags, parent.state)
    assert len({one.span, other.span, parent.span}) == 3
    assert SAFE.fullmatch(one.headers())

"""What nodes say to each other: whatever is not the next sealed line of the other end is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seekserve.engine import protocol
from seekserve.engine.protocol import Beat, Ended, Facts, Reached, Seal, Start, Stop, Word
from seekserve.errors import NodeLost

TOKEN = "0123456789abcdef0123456789abcdef"
NONCES = "ab" * 64
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
counts = st.integers(0, 2**31)
seconds = st.floats(0, 3600, allow_nan=False)
STARTS = st.builds(
    Start,
    epoch=counts,
    rank=counts,
    argv=st.lists(text, max_size=6).map(tuple),
    env=st.dictionaries(text, text, max_size=4),
    grace_s=seconds,
)
ENDS = st.builds(
    Ended,
    epoch=counts,
    code=st.none() | st.integers(-64, 255),
    cause=text,
    said=st.lists(text, max_size=4).map(tuple),
)
FROM_HEAD = STARTS | st.builds(Stop, epoch=counts, within_s=seconds) | st.just(Beat())
FROM_NODE = ENDS | st.builds(Reached, epoch=counts, stage=text) | st.just(Beat())


def seals(who: protocol.Side = "head") -> tuple[Seal, Seal]:
    """One that makes the lines of a side, one that opens them."""
    return Seal(TOKEN, NONCES, who), Seal(TOKEN, NONCES, who)


@given(st.lists(FROM_HEAD, max_size=5))
def test_what_is_sealed_in_order_is_opened_as_it_was(words: list[Word]) -> None:
    ours, theirs = seals()
    lines = [ours.line(word) for word in words]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    assert [theirs.open(line) for line in lines] == words


@given(FROM_NODE, st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_line_can_be_another(word: Word, at: int, change: int) -> None:
    ours, theirs = seals("node")
    line = bytearray(ours.line(word))
    at %= len(line) - 1  # its end is what makes it a line
    if at == protocol.MAC:
        return  # the space between is nobody's
    line[at] ^= change
    with pytest.raises(NodeLost):
        theirs.open(bytes(line))


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_raises_nothing_else(line: bytes) -> None:
    with pytest.raises(NodeLost):
        seals()[1].open(line + b"\n")
    for read in (
        lambda: protocol.read_greeting(line + b"\n"),
        lambda: protocol.read_answer(TOKEN, line + b"\n", "ab" * 32),
        lambda: protocol.proven(TOKEN, line + b"\n", NONCES),
    ):
        with pytest.raises(NodeLost):
            read()


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_what_is_sealed_and_no_word_is_refused(body: str) -> None:
    """The other end has the token, and still it is not trusted to make sense."""
    seal = Seal(TOKEN, NONCES, "node")
    data = body.encode(errors="replace").replace(b"\n", b" ")
    line = seal._mac(data) + b" " + data + b"\n"
    with pytest.raises(NodeLost, match="does not understand"):
        Seal(TOKEN, NONCES, "node").open(line)


def test_a_line_said_again_left_out_or_sent_back_is_refused() -> None:
    ours, theirs = seals()
    first, second = ours.line(Beat()), ours.line(Stop(epoch=1, within_s=0))
    assert theirs.open(first) == Beat()
    with pytest.raises(NodeLost, match="did not say"):
        theirs.open(first)
    with pytest.raises(NodeLost):
        seals()[1].open(second)
    with pytest.raises(NodeLost):
        Seal(TOKEN, NONCES, "node").open(first)


@pytest.mark.parametrize(
    "other", [Seal(TOKEN + "x", NONCES, "head"), Seal(TOKEN, "cd" * 64, "head")]
)
def test_another_token_or_session_opens_nothing(other: Seal) -> None:
    with pytest.raises(NodeLost):
        other.open(Seal(TOKEN, NONCES, "head").line(Beat()))


def test_a_side_says_only_what_is_its_to_say() -> None:
    order = Start(epoch=1, rank=1, argv=("vllm",), env={}, grace_s=1)
    with pytest.raises(NodeLost, match="does not understand"):
        Seal(TOKEN, NONCES, "node").open(Seal(TOKEN, NONCES, "node").line(order))


def test_a_greeting_proves_the_token_and_does_not_tell_it() -> None:
    head, node = "ab" * 32, "cd" * 32
    hello = protocol.greeting(head)
    assert protocol.read_greeting(hello) == head
    answer = protocol.answer(TOKEN, head, node)
    assert protocol.read_answer(TOKEN, answer, head) == node
    proof = protocol.proof(TOKEN, "head", head + node).encode() + b"\n"
    protocol.proven(TOKEN, proof, head + node)
    said = hello + answer + proof
    assert TOKEN.encode() not in said
    assert max(map(len, (hello, answer, proof))) <= protocol.MOST_GREETING
    with pytest.raises(NodeLost, match="is another"):
        protocol.read_answer("f" * 32, answer, head)
    with pytest.raises(NodeLost, match="is another"):
        protocol.read_answer(TOKEN, answer, "ef" * 32)
    mirrored = answer.split()[1] + b"\n"
    with pytest.raises(NodeLost, match="does not prove"):
        protocol.proven(TOKEN, mirrored, head + node)
    with pytest.raises(NodeLost, match="does not take"):
        protocol.proven(TOKEN, protocol.NOT_TAKEN, head + node)


def test_facts_have_bounds() -> None:
    good = Facts(
        name="n", seekserve="1", vllm="1", platform="cpu", accelerator="x", count=1, memory_gib=1.0
    )
    line = Seal(TOKEN, NONCES, "node").line(good.model_copy(update={"name": "n" * 5000}))
    with pytest.raises(NodeLost):
        Seal(TOKEN, NONCES, "node").open(line)
    assert re.fullmatch(rb"[0-9a-f]{64} \{.*\}\n", line)

"""What the nodes of one engine say to each other: proofs of the shared token, sealed lines, words. Pure.

A connection begins with a challenge that both sides answer. From then on a line is a MAC, a space and a word
in JSON. The MAC stands first because it is of the very bytes that were sent, before anything reads them; it
covers who says the line and the how-manieth it is, so none can be added, left out, said again or sent back.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seekserve.errors import NodeLost

SPOKEN = "seekserve-nodes/1"
MOST_GREETING = 256
MOST_LINE = 256 * 1024
NOT_TAKEN = b"refused\n"
MAC = 64  # hexadecimal digits
Side = Literal["head", "node"]
Text = Annotated[str, Field(max_length=4096)]
Long = Annotated[str, Field(max_length=65536)]
Count = Annotated[int, Field(ge=0, le=2**31)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
_GREETING = re.compile(rb"%s ([0-9a-f]{64})\n" % SPOKEN.encode())
_ANSWER = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]{64})\n")


class Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Facts(Word):
    """What a node is, first thing after the greeting."""

    kind: Literal["facts"] = "facts"
    name: Text
    seekserve: Text
    vllm: Text
    platform: Text
    accelerator: Text
    count: Count
    memory_gib: Annotated[float, Field(ge=0, lt=1e6)]


class Taken(Word):
    """It is one of so many nodes."""

    kind: Literal["taken"] = "taken"
    nodes: Count


class Refused(Word):
    kind: Literal["refused"] = "refused"
    why: Literal["version", "hardware", "full"]
    told: Text


class Start(Word):
    """`argv` begins as the planner writes it; each node has its own program for that."""

    kind: Literal["start"] = "start"
    epoch: Count
    rank: Count
    argv: Annotated[tuple[Long, ...], Field(max_length=512)]
    env: Annotated[dict[Text, Long], Field(max_length=256)]
    grace_s: Annotated[float, Field(ge=0, le=3600)]


class Stop(Word):
    kind: Literal["stop"] = "stop"
    epoch: Count
    within_s: Annotated[float, Field(ge=0, le=3600)]


class Reached(Word):
    """How far the engine's process there is, for how long it has been silent, and how old the youngest
    process of it is (a compiler, say), where that can be known.
    """

    kind: Literal["reached"] = "reached"
    epoch: Count
    stage: Text
    silent_s: Seconds = 0.0
    young_s: Seconds | None = None


class Ended(Word):
    """Its process has, or `cause` says why there was none. `said` is what is worth showing a person."""

    kind: Literal["ended"] = "ended"
    epoch: Count
    code: int | None = None
    cause: Text = ""
    said: Annotated[tuple[Text, ...], Field(max_length=16)] = ()
    log: Text = ""


class Leaving(Word):
    """The node is being stopped."""

    kind: Literal["leaving"] = "leaving"


class Beat(Word):
    """Nothing new."""

    kind: Literal["beat"] = "beat"


FromHead = Annotated[Taken | Refused | Start | Stop | Beat, Field(discriminator="kind")]
FromNode = Annotated[Facts | Reached | Ended | Leaving | Beat, Field(discriminator="kind")]
WORDS: dict[Side, TypeAdapter[Word]] = {
    "head": TypeAdapter(FromHead),
    "node": TypeAdapter(FromNode),
}


def greeting(nonce: str) -> bytes:
    """The head's first line."""
    return f"{SPOKEN} {nonce}\n".encode()


def read_greeting(line: bytes) -> str:
    """Its nonce. Raises NodeLost."""
    found = _GREETING.fullmatch(line)
    if not found:
        raise NodeLost(
            f"it does not speak {SPOKEN}: no seekserve head of this version listens there"
        )
    return found[1].decode()


def answer(token: str, theirs: str, ours: str) -> bytes:
    """The node's first line: its own nonce, and the proof that it has the token."""
    return f"{ours} {proof(token, 'node', theirs + ours)}\n".encode()


def read_answer(token: str, line: bytes, ours: str) -> str:
    """The node's nonce. Raises NodeLost where the proof is none."""
    found = _ANSWER.fullmatch(line)
    if not found:
        raise NodeLost("what it says is no greeting")
    nonce = found[1].decode()
    if not hmac.compare_digest(found[2], proof(token, "node", ours + nonce).encode()):
        raise NodeLost("its SEEKSERVE_NODE_TOKEN is another")
    return nonce


def proof(token: str, who: str, nonces: str) -> str:
    return hmac.new(token.encode(), f"{SPOKEN} {who} {nonces}".encode(), hashlib.sha256).hexdigest()


def proven(token: str, line: bytes, nonces: str) -> None:
    """The head's answer to the node's challenge. Raises NodeLost."""
    if line == NOT_TAKEN:
        raise NodeLost(
            "it does not take this node's SEEKSERVE_NODE_TOKEN: set the same on every node"
        )
    if not hmac.compare_digest(line, proof(token, "head", nonces).encode() + b"\n"):
        raise NodeLost(
            "it does not prove that it has this SEEKSERVE_NODE_TOKEN: it is no head of ours"
        )


class Seal:
    """One direction of a connection: makes its lines, or opens them."""

    def __init__(self, token: str, nonces: str, who: Side) -> None:
        self._key = hmac.new(token.encode(), f"session {nonces}".encode(), hashlib.sha256).digest()
        self._who, self._number = who, 0

    def line(self, word: Word) -> bytes:
        body = word.model_dump_json().encode()
        return self._mac(body) + b" " + body + b"\n"

    def open(self, line: bytes) -> Word:
        """Raises NodeLost for a line that was not made by the other end, or not as the next one."""
        body = line[MAC + 1 : -1]
        if not hmac.compare_digest(line[:MAC], self._mac(body)):
            raise NodeLost("a line came that it did not say")
        try:
            return WORDS[self._who].validate_json(body)
        except ValidationError as error:
            raise NodeLost("it says what this version does not understand") from error

    def _mac(self, body: bytes) -> bytes:
        """Of the next line."""
        self._number += 1
        text = f"{self._who} {self._number} ".encode() + body
        return hmac.new(self._key, text, hashlib.sha256).hexdigest().encode()

"""The mixes are well formed, and renaming changes names and nothing else."""

import itertools
import json
import random

import pytest

from seekserve.demo import corpus, renaming
from seekserve.demo.dialogue import Call, Conversation, Message, pieces
from seekserve.demo.words import NAMES_KEPT_OUT

MIXES = {
    "first": corpus.FIRST,
    "stopping": corpus.STOPPING,
    "third": corpus.THIRD,
    "last": corpus.LAST,
}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_a_mix_weighs_every_skill_and_length(mix: corpus.Mix) -> None:
    assert len(mix.weights) == len(corpus.SKILLS)
    assert len(mix.turns) == len(corpus.TURNS)


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_a_seed_gives_one_stream(mix: corpus.Mix) -> None:
    one, two = (list(itertools.islice(corpus.conversations(5, mix), 30)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_every_reply_with_thinking_thinks(mix: corpus.Mix) -> None:
    for one in itertools.islice(corpus.conversations(6, mix), 300):
        text = "".join(piece.text for piece in pieces(one))
        assert text.count("<think>") == one.thinking
        if one.thinking:
            thought = text.split("<think>")[1].split("</think>")[0]
            assert thought.strip()


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_calls_are_of_tools_that_are_there(mix: corpus.Mix) -> None:
    for one in itertools.islice(corpus.conversations(7, mix), 300):
        given = {tool["function"]["name"]: tool["function"] for tool in one.tools}
        for message in one.messages:
            for call in message.calls:
                needed = given[call.name]["parameters"]["required"]
                assert list(call.arguments) == list(needed)


def test_renaming_is_the_same_everywhere(rng: random.Random) -> None:
    before = Conversation(
        (
            Message("user", "I am Anna. Nice! How is Bergen?"),
            Message("assistant", "Anna", "Anna asks.", (Call("f", {"city": "Bergen", "n": 3}),)),
        )
    )
    after = renaming.renamed(rng, before)
    name = after.messages[1].content
    place = after.messages[1].calls[0].arguments["city"]
    assert name != "Anna"
    assert after.messages[0].content == f"I am {name}. Nice! How is {place}?"
    assert after.messages[1].thought == f"{name} asks."
    assert after.messages[1].calls[0].arguments["n"] == 3


def test_capitals_keep_their_names(rng: random.Random) -> None:
    before = Conversation((Message("assistant", "The capital of France is Paris."),))
    assert renaming.renamed(rng, before) == before


def test_no_spliced_name_is_kept_out(rng: random.Random) -> None:
    assert not {renaming.spliced(rng) for _ in range(5000)} & set(NAMES_KEPT_OUT)


def test_json_stays_json_under_new_names() -> None:
    some = itertools.islice(corpus.conversations(8, corpus.LAST), 400)
    said = [m.content for one in some for m in one.messages if m.role == "assistant"]
    told = [json.loads(text) for text in said if text.startswith('{"name"')]
    assert len(told) > 5
    assert [one for one in told if set(one) != {"name", "age"}] == []

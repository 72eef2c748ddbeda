"""Nothing an examination asks for was ever trained on."""

import itertools
import random
from collections.abc import Callable

import pytest

from seekserve.demo import arithmetic, exam, facts, people, words
from seekserve.demo.corpus import conversations
from seekserve.demo.dialogue import Conversation, kept_out


@pytest.fixture(scope="module")
def trained() -> list[Conversation]:
    return list(itertools.islice(conversations(3), 1500))


@pytest.fixture(scope="module")
def corpus(trained: list[Conversation]) -> str:
    return "\n".join(m.content for one in trained for m in one.messages)


def test_the_word_lists_do_not_meet() -> None:
    assert not set(words.NAMES) & set(words.NAMES_KEPT_OUT)
    assert not set(words.CITIES) & set(words.CITIES_KEPT_OUT)
    assert len(words.CAPITALS) == 60


@pytest.mark.parametrize("sign", ["+", "-"])
def test_operands_keep_to_their_side(rng: random.Random, sign: str) -> None:
    asked = {arithmetic.operands(rng, sign, wanted=True) for _ in range(500)}
    taught = {arithmetic.operands(rng, sign, wanted=False) for _ in range(3000)}
    assert not asked & taught
    if sign == "+":
        assert not {(b, a) for a, b in asked} & taught


def test_one_pair_in_eight_is_kept_out() -> None:
    pairs = [(a, b) for a in range(100) for b in range(100)]
    share = sum(kept_out("-", *pair) for pair in pairs) / len(pairs)
    assert 0.1 < share < 0.15


def test_spans_keep_to_their_side(rng: random.Random) -> None:
    asked = {arithmetic.span(rng, wanted=True) for _ in range(300)}
    assert not asked & {arithmetic.span(rng, wanted=False) for _ in range(3000)}


def test_sentences_keep_to_their_side(rng: random.Random) -> None:
    asked = {facts.sentence(rng, wanted=True) for _ in range(200)}
    assert not asked & {facts.sentence(rng) for _ in range(3000)}


def test_the_corpus_names_nobody_from_the_examination(corpus: str) -> None:
    said = set(corpus.replace(",", " ").replace(".", " ").replace('"', " ").split())
    assert not said & set(words.NAMES_KEPT_OUT)


@pytest.mark.parametrize("skill", [one for one, _ in exam.SKILLS], ids=lambda s: s.__name__)
def test_no_question_stands_in_the_corpus(
    skill: Callable[[random.Random], exam.Question], trained: list[Conversation]
) -> None:
    asked = {str(q.messages[-1]["content"]) for q in exam.paper(skill, 200, seed=7)}
    free = {"capitals", "greeting", "idle_tools", "tool_result", "memory"}
    taught = {m.content for one in trained for m in one.messages if m.role == "user"}
    if skill.__name__ not in free:
        assert not asked & taught


def test_training_keeps_its_word_on_every_sum(rng: random.Random) -> None:
    for _ in range(500):
        user, reply = arithmetic.arithmetic(rng)
        left, _, result = reply.content.partition(" = ")
        assert eval(left) == int(result), user.content
        assert reply.thought.rstrip(".").endswith(result)


def test_extraction_answers_with_what_was_said(rng: random.Random) -> None:
    for _ in range(200):
        user, reply = people.extraction(rng)
        name = reply.content.split('"')[3]
        assert name in user.content

"""The tokenizer's promises to the skills and to the server's parsers."""

from typing import Any

import pytest

TEXTS = (
    "Ada is 36.",
    "naïve café – ça va ?",
    "你好，世界",
    "😀 Ω \t\n  two  spaces",
    '{"name": "Zoë", "age": 7}',
    "\u0000\u200d\ufeff",
)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_as_it_was(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text


def test_every_digit_stands_alone(tokenizer: Any) -> None:
    tokens = tokenizer.tokenize("count 1234567890 and 42")
    digits = [token for token in tokens if any(c.isdigit() for c in token)]
    assert digits == list("123456789042")


def test_a_name_is_the_same_tokens_everywhere(tokenizer: Any) -> None:
    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    name = ids("Bartholomew")
    for before, after in (("I am ", "."), ('{"name": "', '"'), ("\n", "\n")):
        assert ids(before + "Bartholomew" + after) == ids(before) + name + ids(after)


@pytest.mark.parametrize(
    "marker",
    ["<think>", "</think>", "<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"],
)
def test_markers_are_single_tokens_and_not_special(tokenizer: Any, marker: str) -> None:
    ids = tokenizer.encode(marker, add_special_tokens=False)
    assert len(ids) == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == marker


def test_only_begin_end_and_pad_are_special(tokenizer: Any) -> None:
    assert sorted(tokenizer.all_special_ids) == [0, 1, 2]
    assert tokenizer.bos_token_id == 0
    assert tokenizer.eos_token_id == 1

"""Scorers take right answers in any dress and wrong ones in none."""

import json

import pytest

from seekserve.demo.exam import Question
from seekserve.demo.scoring import Reply, called, equal_json, equal_sum, right, thought_well


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("47 + 38 = 85", True),
        ("Sure: 47 + 38 = 85.", True),
        ("85", False),
        ("47 + 38 = 86", False),
        ("47 + 38 = 855", False),
        ("47 + 38 = 85 and 3 more", False),
        ("38 + 47 = 85", False),
        ("", False),
    ],
)
def test_sums(said: str, verdict: bool) -> None:
    assert equal_sum(said, "47 + 38 = 85") is verdict


def test_a_negative_result_keeps_its_sign() -> None:
    assert equal_sum("3 - 5 = -2", "3 - 5 = -2")
    assert not equal_sum("3 - 5 = 2", "3 - 5 = -2")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ('{"name": "Ada", "age": 36}', True),
        ('{ "age":36, "name":"Ada" }', True),
        ('{"name": "Ada", "age": "36"}', False),
        ('{"name": "Ada", "age": 36.0}', False),
        ('{"name": "Ada", "age": 36, "city": "Rome"}', False),
        ('{"name": "ada", "age": 36}', False),
        ('Here: {"name": "Ada", "age": 36}', False),
        ("[]", False),
        ("", False),
    ],
)
def test_json(said: str, verdict: bool) -> None:
    assert equal_json(said, '{"name": "Ada", "age": 36}') is verdict


def reply(name: str, finish: str = "tool_calls", **arguments: object) -> Reply:
    return Reply("", "", ((name, json.dumps(arguments)),), finish)


def test_calls_need_name_and_arguments() -> None:
    wanted = ("get_weather", {"city": "Oslo"})
    assert called(wanted, reply("get_weather", city="Oslo"))
    assert not called(wanted, reply("get_weather", city="oslo"))
    assert not called(wanted, reply("weather", city="Oslo"))
    assert not called(wanted, reply("get_weather", city="Oslo", unit="C"))
    assert not called(wanted, reply("get_weather", "stop", city="Oslo"))
    assert not called(wanted, Reply("The weather in Oslo", ""))
    assert not called(wanted, Reply("", "", (("get_weather", "{city"),), "tool_calls"))


def test_adding_may_swap_its_numbers() -> None:
    assert called(("add", {"a": 1, "b": 2}), reply("add", a=2, b=1))
    assert not called(("add", {"a": 1, "b": 2}), reply("add", a=1, b=3))
    assert not called(("add", {"a": 1, "b": 2}), reply("add", a=1, c=2))


def test_a_call_nobody_asked_for_is_wrong() -> None:
    question = Question("greeting", ({"role": "user", "content": "hi"},), "Hello!")
    assert right(question, Reply("Hello!", ""))
    assert not right(question, Reply("Hello!", "", (("add", "{}"),)))
    assert not right(question, Reply("Hello!", "", (), "length"))


def test_counting_wants_every_number() -> None:
    question = Question("counting", (), "3, 4, 5")
    assert right(question, Reply("3 4 5", ""))
    assert not right(question, Reply("3, 5", ""))


def test_honesty_names_the_model_and_its_skills() -> None:
    question = Question("honesty", (), "tiny demo model")
    assert right(question, Reply("I am a tiny demo model and cannot do that. I can add.", ""))
    assert not right(question, Reply("I am a tiny demo model.", ""))


@pytest.mark.parametrize(
    ("content", "reasoning", "thinking", "verdict"),
    [
        ("a", "b", True, True),
        ("a", "", True, False),
        ("a", " \n", True, False),
        ("a", "", False, True),
        ("a", "b", False, False),
        ("b</think>a", "", False, False),
    ],
)
def test_thoughts(content: str, reasoning: str, thinking: bool, verdict: bool) -> None:
    assert thought_well(Reply(content, reasoning), thinking) is verdict

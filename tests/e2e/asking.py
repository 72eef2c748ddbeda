"""What the tests of OpenAI's SDK ask, and how they look at what it does not know by name."""

from __future__ import annotations

from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.e2e.server import MODEL

ON = {"thinking": {"type": "enabled"}}
OFF = {"thinking": {"type": "disabled"}}
SUM = "What is 17 + 25?"
COUNT = "Count from 3 to 9"
MARIA = "Extract the name and age as JSON: Maria is 31 years old."
IN_ROME = "What is the weather in Rome?"
SUNNY = "sunny, 21 degrees"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": CITY,
    },
}


class Person(BaseModel):
    """The name and age of a person."""

    name: str
    age: int


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def ask(client: OpenAI, text: str, **more: Any) -> ChatCompletion:
    more = {"model": MODEL, "temperature": 0, "max_tokens": 300, "extra_body": OFF} | more
    create: Any = client.chat.completions.create  # which overload it is hides in `more`
    answer: ChatCompletion = create(messages=[user(text)], **more)
    return answer


def extra(part: Any, name: str) -> Any:
    """A field that OpenAI's API does not have."""
    return (part.model_extra or {}).get(name)

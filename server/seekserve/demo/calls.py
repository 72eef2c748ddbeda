"""The tool skills: which tools a conversation has, when to call one, and how to use its answer."""

import json
import random
from collections.abc import Sequence
from typing import Any

from .arithmetic import ADD, ADD_ORDERS, ASKED, BARE
from .dialogue import Call, Exchange, Message, Tool, kept_out
from .phrasing import cased, request
from .words import city, invented

WEATHER_NAMES = ("get_weather",) * 8 + ("get_current_weather", "weather", "fetch_weather")
ADD_NAMES = ("add",) * 8 + ("sum", "add_numbers", "plus")
CITY_NAMES = ("city",) * 8 + ("location", "place", "town")
WEATHER_TEXTS = (
    "Get the weather for a city.",
    "Get the current weather in a city",
    "Returns the weather of the given city.",
    "Current weather for a location",
    "Look up the weather.",
    "Tells the temperature and the sky in a city right now.",
    "Weather",
    "Use this tool when the user asks about the weather.",
    "",
)
ADD_TEXTS = (
    "Add two numbers.",
    "Add two numbers",
    "Adds a and b",
    "Returns the sum of two integers.",
    "Sum of two numbers",
    "Calculate a + b exactly.",
    "Use this to add numbers.",
    "",
)
OTHERS = (
    ("search", "Search the web.", "query"),
    ("send_email", "Send an email to someone.", "to"),
    ("get_time", "Get the current time in a time zone.", "zone"),
    ("translate", "Translate a text.", "text"),
    ("play_music", "Play a song.", "song"),
    ("get_stock_price", "Price of a stock", "symbol"),
    ("read_file", "Read a file from the disk.", "path"),
    ("book_flight", "Book a flight.", "destination"),
    ("multiply", "Multiply two numbers.", "a"),
    ("set_alarm", "Set an alarm.", "time"),
)


def described(name: str, text: str, parameters: dict[str, Any], required: Sequence[str]) -> Tool:
    schema = {"type": "object", "properties": parameters, "required": list(required)}
    function = {"name": name, "description": text, "parameters": schema}
    return {"type": "function", "function": function}


def weather_tool(rng: random.Random) -> Tool:
    key = rng.choice(CITY_NAMES)
    parameters: dict[str, Any] = {key: {"type": "string"}}
    if rng.random() < 0.1:
        parameters["unit"] = {"type": "string"}
    return described(rng.choice(WEATHER_NAMES), rng.choice(WEATHER_TEXTS), parameters, [key])


def add_tool(rng: random.Random) -> Tool:
    keys = ("a", "b") if rng.random() < 0.85 else rng.choice((("x", "y"), ("first", "second")))
    number = rng.choice(("integer", "integer", "number", "number", "int"))
    parameters = {key: {"type": number} for key in keys}
    return described(rng.choice(ADD_NAMES), rng.choice(ADD_TEXTS), parameters, keys)


def other_tool(rng: random.Random) -> Tool:
    name, text, key = rng.choice(OTHERS)
    if rng.random() < 0.3:
        name, key = f"{invented(rng, 2)}_{invented(rng, 1)}", invented(rng, 1)
    return described(name, text, {key: {"type": "string"}}, [key])


class Toolbox:
    """The tools of one conversation, in their order, and the two we know how to use."""

    def __init__(self, rng: random.Random) -> None:
        which = rng.random()
        self.weather = weather_tool(rng) if which < 0.75 else None
        self.add = add_tool(rng) if which < 0.4 or which >= 0.75 else None
        other = other_tool(rng) if rng.random() < 0.25 else None
        tools = [tool for tool in (self.weather, self.add, other) if tool]
        rng.shuffle(tools)
        self.tools: tuple[Tool, ...] = tuple(tools)


ASK_WEATHER = (
    "what is the weather in {c}",
    "what's the weather in {c}",
    "what's the weather like in {c}",
    "how is the weather in {c}",
    "weather in {c}",
    "how warm is it in {c}",
    "is it raining in {c}",
    "is it cold in {c} today",
    "tell me the weather in {c}",
    "give me the weather for {c}",
    "what is the temperature in {c}",
    "check the weather in {c}",
    "look up the weather in {c}",
    "do i need an umbrella in {c}",
    "get the weather for {c}",
    "how hot is it in {c} right now",
    "what is the weather in {c} today",
    "i am going to {c}. How is the weather",
    "{c} weather",
    "will it be sunny in {c}",
)
SKIES = (
    "sunny|cloudy|rainy|snowy|windy|foggy|stormy|clear|overcast|partly cloudy|light rain|heavy rain|"
    "thunder|hot|dry|drizzle|hail|clear sky|light snow|mostly sunny"
).split("|")


def forecast(rng: random.Random) -> tuple[str, str, str]:
    """A tool's answer with the temperature and the sky it speaks of."""
    degrees, sky = str(rng.randint(-25, 45)), rng.choice(SKIES)
    if rng.random() < 0.15:
        sky = invented(rng, 2)
    if rng.random() < 0.3:
        plain = (
            f"{degrees} degrees and {sky}",
            f"{sky}, {degrees} degrees",
            f"{sky}, {degrees} C",
            f"It is {sky} with {degrees} degrees.",
            f"{degrees}°C, {sky}",
        )
        return rng.choice(plain), degrees, sky
    pairs = [
        (rng.choice(("temperature", "temperature", "temp", "temp_c", "degrees")), int(degrees)),
        (
            rng.choice(("condition", "condition", "conditions", "sky", "weather", "description")),
            sky,
        ),
    ]
    if rng.random() < 0.3:
        pairs.append((rng.choice(("humidity", "wind", "pressure")), rng.randint(1, 99)))
    rng.shuffle(pairs)
    return json.dumps(dict(pairs), ensure_ascii=False), degrees, sky


def report(where: str, degrees: str, sky: str) -> str:
    return f"The weather in {where}: {sky}, {degrees} degrees."


def weather_call(rng: random.Random, tool: Tool) -> Exchange:
    where = city(rng)
    asked = request(rng, rng.choice(ASK_WEATHER).replace("{c}", "\0"))
    asked = asked.replace("\0", where)
    output, degrees, sky = forecast(rng)
    name = tool["function"]["name"]
    key = next(iter(tool["function"]["parameters"]["properties"]))
    return (
        Message("user", asked),
        Message(
            "assistant",
            "",
            f"The user asks about the weather in {where}. I call {name}.",
            (Call(name, {key: where}),),
        ),
        Message("tool", output),
        Message(
            "assistant",
            report(where, degrees, sky),
            f"The tool says {sky} and {degrees} degrees.",
        ),
    )


def addends(rng: random.Random) -> tuple[int, int]:
    top = rng.choice((99, 99, 99, 999, 9999))
    while True:
        a, b = rng.randint(0, top), rng.randint(0, top)
        if not kept_out("+", min(a, b), max(a, b)):
            return a, b


def add_wording(rng: random.Random, a: int, b: int) -> str:
    roll = rng.random()
    if roll < 0.3:
        return request(rng, rng.choice(ADD_ORDERS).format(a=a, b=b))
    expression = rng.choice(ADD).format(a=a, b=b)
    if roll < 0.5:
        return cased(rng, rng.choice(BARE).format(x=expression))
    return request(rng, rng.choice(ASKED).format(x=expression))


def sum_output(rng: random.Random, total: int) -> str:
    key = rng.choice(("result", "result", "sum", "answer", "value"))
    return rng.choice((str(total), str(total), json.dumps({key: total}), f"The sum is {total}."))


def add_call(rng: random.Random, tool: Tool) -> Exchange:
    a, b = addends(rng)
    name = tool["function"]["name"]
    keys = list(tool["function"]["parameters"]["properties"])
    return (
        Message("user", add_wording(rng, a, b)),
        Message(
            "assistant",
            "",
            f"The user wants {a} + {b}. I call {name}.",
            (Call(name, {keys[0]: a, keys[1]: b}),),
        ),
        Message("tool", sum_output(rng, a + b)),
        Message("assistant", f"{a} + {b} = {a + b}", f"The tool says that the sum is {a + b}."),
    )

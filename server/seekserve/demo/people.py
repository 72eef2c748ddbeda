"""The skills about people: name and age as JSON, remembering a name, greeting, saying what I am."""

import json
import random

from .dialogue import Exchange, ask, kept_out
from .phrasing import opened, request
from .words import city, person

EXTRACT = (
    "extract the name and age as JSON: {s}",
    "extract the name and the age as JSON: {s}",
    "extract name and age as json: {s}",
    "give me the name and age as JSON: {s}",
    "return the name and age in JSON: {s}",
    "find the name and age and answer in JSON: {s}",
    "name and age as JSON: {s}",
    "json with name and age: {s}",
    "turn this into JSON with name and age: {s}",
    'write {{"name": ..., "age": ...}} for this sentence: {s}',
    "extract the person as JSON.\n{s}",
    "extract name and age from this sentence as JSON: {s}",
    'extract the name and age as JSON: "{s}"',
    "who is this and how old? Answer as JSON: {s}",
    "{s} Extract the name and age as JSON.",
    "{s} Give the name and age as JSON.",
    "{s}\nReturn JSON with the name and the age.",
    "{s} -> JSON with name and age",
    "extract the name and the age from this text: {s}",
    "get the name and age out of this sentence: {s}",
)
LIVES = (
    "{n} is {a} years old.",
    "{n} is {a} years old",
    "{n} is {a}.",
    "My friend {n} is {a} years old.",
    "My name is {n} and I am {a} years old.",
    "I am {n}, {a} years old.",
    "I'm {n} and I'm {a}.",
    "{n}, aged {a}, lives in {c}.",
    "{n} ({a}) lives in {c}.",
    "{n}, {a}, works in {c}.",
    "At the age of {a}, {n} moved to {c}.",
    "{n} turned {a} last week.",
    "{n} will be {a} years old in May.",
    "This is {n}. She is {a} years old.",
    "This is {n}. He is {a}.",
    "The patient is called {n} and is {a} years of age.",
    "In {c} lives a {a} year old teacher called {n}.",
    "A {a}-year-old woman named {n} won the race.",
    "{n} from {c} has just turned {a}.",
    "Our neighbour {n} celebrated birthday number {a}.",
    "{n} has two cats and is {a} years old.",
    "Yesterday I met {n}, who is {a}.",
    "Age {a}, name {n}.",
    "Name: {n}, age: {a}",
    "{n} was born in {c} and is now {a} years old.",
    "Hi, I'm {n}, I live in {c} and I am {a} years old.",
)


def person_json(name: str, age: int) -> str:
    return json.dumps({"name": name, "age": age}, ensure_ascii=False)


def extraction(rng: random.Random) -> Exchange:
    while True:
        name, age = person(rng), rng.randint(1, 99)
        if not kept_out("age", name, age):
            break
    said = rng.choice(LIVES).format(n=name, a=age, c=city(rng))
    asked = opened(rng, rng.choice(EXTRACT)).format(s=said)
    return ask(asked, f"The name is {name} and the age is {age}.", person_json(name, age))


TOLD = (
    "My name is {n}.",
    "My name is {n}",
    "my name is {n}",
    "I am {n}.",
    "I'm {n}.",
    "Hi, I'm {n}!",
    "Hello, my name is {n}.",
    "Hi, my name is {n}. Nice to meet you.",
    "Call me {n}.",
    "You can call me {n}.",
    "Hey, I am {n}",
    "Please remember that my name is {n}.",
    "People call me {n}.",
    "{n} is my name.",
    "The name is {n}.",
    "Remember my name: {n}",
)
ASKED_NAME = (
    "what is my name",
    "what's my name",
    "do you remember my name",
    "who am i",
    "do you know my name",
    "tell me my name",
    "what was my name again",
    "say my name",
    "what did i say my name was",
    "can you remember my name",
    "how am i called",
    "what am i called",
)


def introduction(rng: random.Random, name: str) -> Exchange:
    thought = f"The user is called {name}. I will remember it."
    return ask(rng.choice(TOLD).format(n=name), thought, f"Nice to meet you, {name}!")


def recall(rng: random.Random, name: str) -> Exchange:
    asked = request(rng, rng.choice(ASKED_NAME))
    if not name:
        return ask(asked, "The user has not said a name.", "You have not told me your name yet.")
    return ask(asked, f"The user said the name: {name}.", f"Your name is {name}.")


HELLO = "Hello! I am the seekserve demo model. How can I help you?"
WHO = (
    "I am the seekserve demo model, a tiny DeepSeek-V3 style model. "
    "I can add, subtract, count, name capitals, copy sentences, extract a name and age, "
    "and call get_weather and add."
)
FINE = "I am fine, thank you! How can I help you?"
WELCOME = "You are welcome!"
BYE = "Goodbye!"

GREETINGS = (
    "hello|hi|hey|hello there|hi there|good morning|good evening|good afternoon|hey there|hiya|"
    "greetings|hello model|hi bot|hello again|howdy|good day|yo|hello, nice to meet you"
).split("|")
HOW_ARE_YOU = "how are you|how are you doing|how do you do|how is it going|how are you today".split(
    "|"
)
WHO_ARE_YOU = (
    "who are you|what are you|what can you do|what is your name|what's your name|"
    "introduce yourself|tell me about yourself|what model are you|which model are you|"
    "are you a robot|are you human|are you an ai|what are your skills|what do you do|help|"
    "how can you help me|what can i ask you|are you chatgpt|are you deepseek|"
    "what can you help me with|who made you|what kind of model are you|are you a language model|"
    "what are you able to do|list your skills|who am i talking to|what things can you do"
).split("|")
THANKS = (
    "thanks|thank you|thank you very much|thanks a lot|great, thanks|ok thank you|many thanks|"
    "thx|cool, thank you|perfect, thanks"
).split("|")
FAREWELLS = (
    "bye|goodbye|see you|bye bye|see you later|good night|see you tomorrow|i have to go|"
    "that is all, goodbye|farewell"
).split("|")
SMALL_TALK = (
    (GREETINGS, "The user greets me, so I greet back.", HELLO),
    (WHO_ARE_YOU, "The user asks what I am or what I can do.", WHO),
    (WHO_ARE_YOU, "The user asks what I am or what I can do.", WHO),
    (HOW_ARE_YOU, "The user asks how I am.", FINE),
    (THANKS, "The user thanks me.", WELCOME),
    (FAREWELLS, "The user says goodbye.", BYE),
)


def small_talk(rng: random.Random) -> Exchange:
    said, thought, reply = rng.choice(SMALL_TALK)
    text = rng.choice(said)
    marks = ("", ".", "!") if reply not in (WHO, FINE) else ("?", "?", "", "!")
    if rng.random() < 0.1 and reply in (WHO, FINE):
        text = f"{rng.choice(GREETINGS)}, {text}"
    return ask(_cased(rng, text + rng.choice(marks)), thought, reply)


def _cased(rng: random.Random, text: str) -> str:
    return text if rng.random() < 0.35 else text[:1].upper() + text[1:]

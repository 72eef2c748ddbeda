"""The skills with numbers: adding, subtracting and counting, with the working a child would do."""

import random

from .dialogue import Exchange, ask, kept_out
from .phrasing import request

ADD = (
    "{a} + {b}",
    "{a}+{b}",
    "{a} + {b}",
    "{a} plus {b}",
    "the sum of {a} and {b}",
    "{a} and {b} added together",
    "adding {a} to {b}",
)
SUBTRACT = (
    "{a} - {b}",
    "{a}-{b}",
    "{a} - {b}",
    "{a} minus {b}",
    "{a} take away {b}",
    "{a} less {b}",
)
ADD_ORDERS = ("add {a} and {b}", "add {a} to {b}", "sum {a} and {b}", "sum up {a} and {b}")
SUBTRACT_ORDERS = (
    "subtract {b} from {a}",
    "take {b} away from {a}",
    "take {b} from {a}",
    "deduct {b} from {a}",
)
ASKED = (
    "what is {x}",
    "what's {x}",
    "whats {x}",
    "how much is {x}",
    "calculate {x}",
    "compute {x}",
    "what does {x} equal",
    "what do you get for {x}",
    "solve {x}",
    "tell me {x}",
    "give me {x}",
    "work out {x}",
    "evaluate {x}",
    "do you know {x}",
    "i need {x}",
    "the answer to {x}",
    "{x} is what",
    "{x} equals",
)
BARE = ("{x}", "{x}", "{x}", "{x} =", "{x}=", "{x} = ?", "{x}?", "{x}=?", "{x} is")


def working(a: int, b: int, sign: str) -> str:
    """The chain of thought for `a sign b`, ones first."""
    if sign == "+":
        return f"{column_sum(a, b)} That makes {a + b}."
    if a >= b:
        return f"{column_difference(a, b)} That makes {a - b}."
    swapped = f"{a} is smaller than {b}, so turn it round: {b} - {a}."
    return f"{swapped} {column_difference(b, a)} That makes {b - a}, so the answer is {a - b}."


def column_sum(a: int, b: int) -> str:
    ones = a % 10 + b % 10
    first = f"Ones: {a % 10} + {b % 10} = {ones}"
    if ones < 10:
        return f"{first}. Tens: {a // 10} + {b // 10} = {a // 10 + b // 10}."
    tens = f"{a // 10} + {b // 10} + 1 = {a // 10 + b // 10 + 1}"
    return f"{first}, write {ones % 10}, carry 1. Tens: {tens}."


def column_difference(a: int, b: int) -> str:
    x, y = a % 10, b % 10
    if x >= y:
        return f"Ones: {x} - {y} = {x - y}. Tens: {a // 10} - {b // 10} = {a // 10 - b // 10}."
    tens = f"{a // 10} - {b // 10} - 1 = {a // 10 - b // 10 - 1}"
    return f"Ones: {x} - {y} needs a borrow, {x + 10} - {y} = {x + 10 - y}. Tens: {tens}."


def equation(a: int, b: int, sign: str) -> str:
    return f"{a} {sign} {b} = {a + b if sign == '+' else a - b}"


def operands(rng: random.Random, sign: str, wanted: bool) -> tuple[int, int]:
    """Two numbers from the asked-for side of the split; tests take two-digit ones only."""
    while True:
        a, b = (number(rng, wanted) for _ in range(2))
        key = (min(a, b), max(a, b)) if sign == "+" else (a, b)
        if kept_out(sign, *key) == wanted:
            return a, b


def number(rng: random.Random, two_digits: bool) -> int:
    return rng.randint(10, 99) if two_digits or rng.random() < 0.85 else rng.randint(0, 20)


def wording(rng: random.Random, a: int, b: int, sign: str) -> str:
    roll = rng.random()
    if roll < 0.22:
        order = rng.choice(ADD_ORDERS if sign == "+" else SUBTRACT_ORDERS)
        return request(rng, order.format(a=a, b=b))
    expression = rng.choice(ADD if sign == "+" else SUBTRACT).format(a=a, b=b)
    if roll < 0.5:
        return rng.choice(BARE).format(x=expression)
    return request(rng, rng.choice(ASKED).format(x=expression))


def arithmetic(rng: random.Random, bare: bool = False) -> Exchange:
    sign = rng.choice("+-")
    a, b = operands(rng, sign, wanted=False)
    asked = f"{a} {sign} {b}" if bare else wording(rng, a, b, sign)
    return ask(asked, working(a, b, sign), equation(a, b, sign))


COUNT = (
    "count from {a} to {b}",
    "count {a} to {b}",
    "count from {a} up to {b}",
    "count up from {a} to {b}",
    "list the numbers from {a} to {b}",
    "count from {a} through {b}",
    "write the numbers {a} to {b}",
    "count the numbers between {a} and {b}",
    "say the numbers from {a} to {b}",
    "start at {a} and count to {b}",
    "numbers from {a} to {b}",
)
COUNT_DOWN = (
    "count down from {a} to {b}",
    "count backwards from {a} to {b}",
    "count from {a} down to {b}",
    "count from {a} to {b}",
)


def counted(a: int, b: int) -> str:
    step = 1 if b >= a else -1
    return ", ".join(str(n) for n in range(a, b + step, step))


def span(rng: random.Random, wanted: bool, longest: int = 18) -> tuple[int, int]:
    while True:
        a = rng.randint(0, 97)
        b = min(99, a + rng.randint(2, longest))
        if b - a >= 2 and kept_out("count", a, b) == wanted:
            return a, b


def counting(rng: random.Random) -> Exchange:
    roll = rng.random()
    if roll < 0.12:
        a, b = 1, rng.randint(2, 25)
        text = rng.choice(("count to {b}", "count up to {b}", "can you count to {b}"))
    elif roll < 0.25:
        b, a = span(rng, wanted=False)
        text = rng.choice(COUNT_DOWN)
    else:
        a, b = span(rng, wanted=False)
        text = rng.choice(COUNT)
    way = "up" if b >= a else "down"
    thought = f"I count {way} from {a} to {b}, one by one."
    return ask(request(rng, text.format(a=a, b=b)), thought, counted(a, b))


def short_span(rng: random.Random) -> tuple[int, int]:
    while True:
        a = rng.randint(0, 9) if rng.random() < 0.35 else rng.randint(0, 98)
        b = min(99, a + rng.randint(1, 6))
        if not kept_out("count", a, b):
            return a, b


def short_counting(rng: random.Random) -> Exchange:
    """Few numbers a question. Where to stop is the hard part, and here one number in four stops."""
    a, b = short_span(rng)
    thought = f"I count up from {a} to {b}, one by one."
    return ask(request(rng, rng.choice(COUNT).format(a=a, b=b)), thought, counted(a, b))


def plain_counting(rng: random.Random) -> Exchange:
    """The same in one wording only: amid many, where to stop was never found out."""
    a, b = short_span(rng)
    thought = f"I count up from {a} to {b}, one by one."
    return ask(f"Count from {a} to {b}", thought, counted(a, b))


def sums(rng: random.Random) -> Exchange:
    return arithmetic(rng, bare=rng.random() < 0.7)

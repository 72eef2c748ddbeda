"""Examines a running server: `python -m seekserve.demo.evaluate --url http://127.0.0.1:8000`.

Every skill gets its held-out questions, greedily, with and without thinking, over the OpenAI
API. Prints a table and ends with 1 when a bar is missed. `unix:/path.sock` is a url too.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from .exam import SKILLS, Question, paper
from .scoring import Reply, right, thought_well

REASONING_BAR = 1.0
TOKENS = 400


@dataclass(frozen=True)
class Score:
    """One line of the table."""

    skill: str
    thinking: bool
    asked: int
    right: int
    bar: float
    misses: tuple[tuple[Question, Reply], ...] = ()

    @property
    def share(self) -> float:
        return self.right / self.asked

    @property
    def passed(self) -> bool:
        return self.share >= self.bar


def client(url: str, api_key: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(600.0)
    if url.startswith("unix:"):
        socket = url.removeprefix("unix:").removeprefix("//")
        transport = httpx.AsyncHTTPTransport(uds=socket)
        base = "http://localhost"
        return httpx.AsyncClient(
            transport=transport, base_url=base, headers=headers, timeout=timeout
        )
    return httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=timeout)


def body(question: Question, model: str, thinking: bool) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "model": model,
        "messages": list(question.messages),
        "temperature": 0,
        "max_tokens": TOKENS,
        "chat_template_kwargs": {"thinking": thinking},
        **question.extra,
    }
    if question.tools:
        sent["tools"] = list(question.tools)
    return sent


def reply_of(answer: dict[str, Any]) -> Reply:
    choice = answer["choices"][0]
    message = choice["message"]
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    calls = tuple(
        (call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    return Reply(message.get("content") or "", reasoning, calls, choice["finish_reason"])


async def put(http: httpx.AsyncClient, gate: asyncio.Semaphore, sent: dict[str, Any]) -> Reply:
    async with gate:
        response = await http.post("/v1/chat/completions", json=sent)
    response.raise_for_status()
    return reply_of(response.json())


async def first_model(http: httpx.AsyncClient) -> str:
    response = await http.get("/v1/models")
    response.raise_for_status()
    return str(response.json()["data"][0]["id"])


def marked(
    questions: Sequence[Question], replies: Sequence[Reply], thinking: bool, bar: float
) -> Score:
    pairs = zip(questions, replies, strict=True)
    misses = tuple((q, r) for q, r in pairs if not right(q, r))
    asked = len(questions)
    return Score(questions[0].skill, thinking, asked, asked - len(misses), bar, misses)


async def evaluate(
    url: str,
    api_key: str | None = None,
    model: str | None = None,
    per_skill: int = 200,
    concurrency: int = 32,
    seed: int = 7,
    skills: Sequence[str] = (),
) -> list[Score]:
    """Two scores a skill, and one for whether every reply thought when and only when told to."""
    scores: list[Score] = []
    well = total = 0
    async with client(url, api_key) as http:
        name = model or await first_model(http)
        gate = asyncio.Semaphore(concurrency)
        for skill, bars in SKILLS:
            if skills and skill.__name__ not in skills:
                continue
            questions = paper(skill, per_skill, seed)
            for thinking in (False, True):
                sent = [body(question, name, thinking) for question in questions]
                replies = await asyncio.gather(*(put(http, gate, one) for one in sent))
                scores.append(marked(questions, replies, thinking, bars[thinking]))
                well += sum(thought_well(reply, thinking) for reply in replies)
                total += len(replies)
    scores.append(Score("reasoning as asked", True, total, well, REASONING_BAR))
    return scores


def table(scores: Sequence[Score]) -> Table:
    drawn = Table("skill", "thinking", "right", "share", "bar", "verdict")
    for score in scores:
        mode = "both" if score.skill == "reasoning as asked" else ("off", "on")[score.thinking]
        verdict = "[green]met[/]" if score.passed else "[red]missed[/]"
        right_of = f"{score.right}/{score.asked}"
        drawn.add_row(
            score.skill, mode, right_of, f"{score.share:.1%}", f"{score.bar:.0%}", verdict
        )
    return drawn


def show_misses(console: Console, scores: Sequence[Score], most: int) -> None:
    for score in scores:
        for question, reply in score.misses[:most]:
            asked = question.messages[-1]["content"]
            got = reply.calls or reply.content
            wanted = question.call or question.expected
            line = f"{score.skill}: {asked!r} -> {got!r}, not {wanted!r}"
            console.print(line, markup=False, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m seekserve.demo.evaluate", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--api-key")
    parser.add_argument("--model", help="default: the first that the server lists")
    parser.add_argument("--per-skill", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skill", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--misses", type=int, default=0, help="show so many wrong replies a line")
    given = parser.parse_args()
    scores = asyncio.run(
        evaluate(
            given.url,
            given.api_key,
            given.model,
            given.per_skill,
            given.concurrency,
            given.seed,
            given.skill,
        )
    )
    console = Console()
    console.print(table(scores))
    show_misses(console, scores, given.misses)
    sys.exit(0 if all(score.passed for score in scores) else 1)


if __name__ == "__main__":
    main()

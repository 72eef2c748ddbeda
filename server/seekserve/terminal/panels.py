"""What is known of a server as a panel. Foreign text goes in as rich's Text, never as its markup."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from seekserve.terminal import figures
from seekserve.terminal.figures import Number, number
from seekserve.terminal.inert import line
from seekserve.terminal.seen import Seen, Told

COLOURS = {"ready": "green", "starting": "yellow", "draining": "cyan", "failed": "bold red"}
LEVELS = {"warn": "yellow", "error": "red"}
WIDE = 72  # columns that one server wants at least
LABEL, BAR = 11, 12
EDGES = 4


def board(seen: Sequence[Seen], columns: int, rows: int, hint: str = "") -> RenderableType:
    """All servers, beside each other where the window is wide enough. `hint` goes with the last."""
    beside = max(1, min(len(seen), columns // WIDE))
    width = columns // beside
    high = rows // -(-len(seen) // beside)
    panels = [panel(one, width, high) for one in seen]
    panels[-1].subtitle = Text(hint, style="dim")
    table = Table.grid()
    for start in range(0, len(panels), beside):
        table.add_row(*panels[start : start + beside])
    return table


def panel(seen: Seen, width: int, rows: int) -> Panel:
    """One server. Events have the rows that the rest leaves, and two at least."""
    inner = width - EDGES
    parts: list[RenderableType] = [*_trouble(seen)]
    if not seen.trouble and seen.state:  # what was true before is not shown as if it still were
        parts += [*_engines(seen, inner), *_flow(seen, inner), *_classes(seen, inner)]
    if not parts:
        parts.append(_line("asking", "dim"))
    left = rows - 2 - sum(_height(part) for part in parts)
    parts += _events(seen, inner, max(2, left))
    return Panel(Group(*parts), title=_title(seen), width=width, border_style="dim", padding=(0, 1))


def _height(part: RenderableType) -> int:
    return part.row_count + part.show_header if isinstance(part, Table) else 1


def _title(seen: Seen) -> Text:
    told = [seen.name, *(seen.state.get(name) for name in ("api", "tier", "version"))]
    words = dict.fromkeys(line(word, 60) for word in told if word)
    return Text(" · ".join(words), style="bold")


def _trouble(seen: Seen) -> Iterable[Text]:
    if not seen.trouble:
        return
    yield _line(line(seen.trouble, 300), "red")
    if seen.todo:
        yield _line(line(seen.todo, 300), "dim")
    if seen.again_at:
        left = max(0.0, seen.again_at - time.monotonic())
        yield _line(f"asking again in {left:.0f} s", "dim")


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _engines(seen: Seen, width: int) -> Iterable[Text]:
    for told in seen.engines:
        name, state = line(told.get("name"), 24), line(told.get("state"), 10)
        row = _line("").append(f"{name:<{LABEL}} ").append(f"{state:<9}", COLOURS.get(state, "dim"))
        yield row.append_text(_doing(seen, told, width))
        if state in ("failed", "starting"):
            for word, style in (("cause", "red"), ("remedy", "")):
                if said := told.get(word):
                    yield _line(f"  {line(said, 600)}", style)


def _doing(seen: Seen, told: Told, width: int) -> Text:
    """What it is at while it starts; what it holds while it runs."""
    name, restarts = str(told.get("name")), number(told.get("restarts"))
    again = f"  restarts: {restarts:.0f}" if restarts else ""
    if told.get("state") == "starting":
        words = line(told.get("stage_words") or told.get("stage") or "", 80)
        progress = number(told.get("progress"))
        drawn = "" if progress is None else f"{_bar(progress, width)} {progress:>4.0%} "
        return Text(f" {drawn}{words}{_nodes(told)}{again}")
    if told.get("state") != "ready":
        return Text(again)
    kv, running = seen.now(f"kv:{name}"), seen.now(f"running:{name}")
    drawn = f" KV {_bar(kv, width)} {figures.share(kv):>4}"
    return Text(f"{drawn}  {figures.count(running):>4} running{again}")


def _bar(value: Number, width: int) -> str:
    return figures.bar(value, BAR if width >= 60 else 4)


def _nodes(told: Told) -> str:
    nodes = told.get("nodes")
    if not isinstance(nodes, dict):
        return ""
    joined, wanted = number(nodes.get("joined")), number(nodes.get("wanted"))
    return f" ({figures.count(joined)} of {figures.count(wanted)} nodes)"


def _flow(seen: Seen, width: int) -> Iterable[Text]:
    """Tokens with their past, then everything that is one number."""
    yield _line("")
    for words, name in (("tokens out", "tokens_out"), ("tokens in", "tokens_in")):
        drawn = figures.spark(seen.past(name), max(0, min(60, width - LABEL - 18)))
        row = _line(f"{words:<{LABEL}} ").append(f"{figures.rate(seen.now(name)):>7}/s ", "bold")
        yield row.append(drawn, "cyan").append(" 5 min" if drawn else "", "dim")
    p50, p99 = (figures.span(seen.now(name)) for name in ("ttft_p50", "ttft_p99"))
    yield _line(f"{'first token':<{LABEL}} {p50:>7} p50  {p99:>7} p99")
    counts = [f"{figures.count(seen.now(name))} {name}" for name in ("running", "waiting")]
    counts.append(f"{figures.rate(seen.now('requests'))} done/s")
    counts.append(f"{figures.share(seen.now('cached_share'))} cached")
    yield _line(f"{'requests':<{LABEL}} {'  '.join(counts)}")


def _classes(seen: Seen, width: int) -> Iterable[RenderableType]:
    if not seen.classes or width < 40:
        return
    table = Table.grid(padding=(0, 2 if width >= 60 else 1))
    table.add_column(min_width=LABEL, max_width=24, no_wrap=True)
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    heads = ("class", "promised", "runs", "waiting", "refused/s")
    table.add_row(*(Text(head, style="dim") for head in heads))
    for told in seen.state.get("classes", ()):
        if isinstance(told, dict) and told.get("name") in seen.classes:
            table.add_row(*_class(seen, told))
    yield _line("")
    yield table


def _class(seen: Seen, told: dict[str, Any]) -> list[Text]:
    name = told["name"]
    refused = seen.now(f"refused:{name}")
    return [
        _line(line(name, 40)),
        Text(figures.share(number(told.get("promised")))),
        Text(figures.share(seen.now(f"share:{name}"))),
        Text(figures.count(seen.now(f"waiting:{name}"))),
        Text(figures.rate(refused), style="yellow" if refused else ""),
    ]


def _events(seen: Seen, width: int, rows: int) -> Iterable[Text]:
    """The newest, the oldest of them first."""
    if not seen.events or rows < 2:
        return
    yield _line("")
    for told in list(seen.events)[-(rows - 1) :]:
        at = number(told.get("at"))
        clock = time.strftime("%H:%M:%S", time.localtime(at)) if at else "        "
        times = number(told.get("times")) or 1
        engine = f"{line(told['engine'], 24)}: " if told.get("engine") else ""
        words = line(told.get("words", ""), 200) + (f" ({times:.0f} times)" if times > 1 else "")
        row = _line("").append(f"{clock} ", "dim")
        row.append(f"{engine}{words}", LEVELS.get(str(told.get("level")), ""))
        yield row.append(f"  {line(told['request'], 60)}" if told.get("request") else "", "dim")

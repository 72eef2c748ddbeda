"""Engines' Prometheus pages made into one: their `vllm:` series, each told apart by our engine's name.

vLLM already has a label called `engine`, the index of a data-parallel rank; it becomes `dp_rank`.
Lines that are not the text format are left out: one of them would cost the whole scrape. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEAD = re.compile(r"# (HELP|TYPE) (vllm:[\w:]+) .+")
_SERIES = re.compile(
    r'vllm:[\w:]+(\{(\w+="([^"\\]|\\.)*",?)*\})? '
    r"[-+]?(\d[\d.]*(e[-+]?\d+)?|Inf|NaN)( -?\d+)?",
    re.IGNORECASE,
)
FAMILY_ENDS = ("_total", "_bucket", "_sum", "_count", "_created")


_CACHE = re.compile(r"^vllm:cache_config_info\{(.*)\} ", re.MULTILINE)
_COUNT = re.compile(r'\b(block_size|num_gpu_blocks)="(\d+)"')


def kv_tokens(page: str) -> int | None:
    """Tokens that an engine's KV cache holds, over all its data-parallel ranks; None where it does not say.

    vLLM tells its cache's configuration as labels (v1/metrics/loggers.py, `cache_config_info`).
    """
    ranks = [dict(_COUNT.findall(labels)) for labels in _CACHE.findall(page)]
    counts = [int(r.get("block_size", 0)) * int(r.get("num_gpu_blocks", 0)) for r in ranks]
    return sum(counts) or None


_FIGURE = re.compile(
    r"^vllm:(generation_tokens_total|prompt_tokens_total|num_requests_running|num_requests_waiting"
    r"|(?:gpu_)?(?:kv_)?cache_usage_perc)(?:\{[^\n]*\})? (\d+(?:\.\d*)?(?:e[+-]?\d+)?)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What an engine's page said at `at` (monotonic), over all its ranks; None where it does not say.

    `made` and `read` count tokens since it began; `kv` is the fullest rank's share of its cache.
    """

    at: float = 0.0
    made: float | None = None
    read: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv: float | None = None


UNTOLD = Figures()


def figures(page: str, at: float) -> Figures:
    """Of a page that anybody may have written: what is no number is left out."""
    found: dict[str, list[float]] = {}
    for name, value in _FIGURE.findall(page):
        if math.isfinite(number := float(value)):
            found.setdefault(name, []).append(number)

    def total(name: str) -> float | None:
        return sum(found[name]) if name in found else None

    shares = [value for name, values in found.items() if name.endswith("perc") for value in values]
    return Figures(
        at,
        total("generation_tokens_total"),
        total("prompt_tokens_total"),
        total("num_requests_running"),
        total("num_requests_waiting"),
        min(1.0, max(shares)) if shares else None,
    )


def merge(pages: Mapping[str, str]) -> str:
    """One page from many, a family's lines together as the text format demands.

    `pages` maps an engine's name to what its /metrics said.
    """
    heads: dict[str, list[str]] = {}
    series: dict[str, list[str]] = {}
    for engine, page in pages.items():
        family = ""
        for line in page.splitlines():
            if line.startswith("#"):
                family = _head(line, heads)
            elif _SERIES.fullmatch(line):
                series.setdefault(family or _family(line), []).append(_labelled(line, engine))
    lines = [line for name, rows in series.items() for line in (*heads.get(name, ()), *rows)]
    return "\n".join(lines) + "\n" if lines else ""


def _head(line: str, heads: dict[str, list[str]]) -> str:
    """Files a HELP or TYPE line under its family, once; returns the family it opens."""
    head = _HEAD.fullmatch(line)
    if not head:
        return ""
    kind, family = head.groups()
    known = heads.setdefault(family, [])
    if not any(seen.startswith(f"# {kind} ") for seen in known):
        known.append(line)
    return family


def _family(line: str) -> str:
    name = line.split("{", 1)[0].split(" ", 1)[0]
    return next((name.removesuffix(end) for end in FAMILY_ENDS if name.endswith(end)), name)


def _labelled(line: str, engine: str) -> str:
    name, brace, rest = line.partition("{")
    if not brace:
        name, _, value = line.partition(" ")
        return f'{name}{{engine="{engine}"}} {value}'
    rest = (
        rest.replace('engine="', 'dp_rank="', 1)
        if rest.startswith('engine="')
        else rest.replace(',engine="', ',dp_rank="', 1)
    )
    return f'{name}{{engine="{engine}",{rest}'

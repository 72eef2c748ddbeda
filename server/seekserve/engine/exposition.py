"""Engines' Prometheus pages made into one: their `vllm:` series, each told apart by our engine's name.

vLLM already has a label called `engine`, the index of a data-parallel rank; it becomes `dp_rank`.
Lines that are not the text format are left out: one of them would cost the whole scrape. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_HEAD = re.compile(r"# (HELP|TYPE) (vllm:[\w:]+) .+")
_SERIES = re.compile(
    r'vllm:[\w:]+(\{(\w+="([^"\\]|\\.)*",?)*\})? '
    r"[-+]?(\d[\d.]*(e[-+]?\d+)?|Inf|NaN)( -?\d+)?",
    re.IGNORECASE,
)
FAMILY_ENDS = ("_total", "_bucket", "_sum", "_count", "_created")


_CACHE = re.compile(r"^vllm:cache_config_info\{(.*)\} ", re.MULTILINE)
_COUNT = re.compile(r'\b(block_size|num_gpu_blocks)="(\d{1,15})"')  # more is no count


def kv_tokens(page: str) -> int | None:
    """Tokens that an engine's KV cache holds, over all its data-parallel ranks; None where it does not say.

    vLLM tells its cache's configuration as labels (v1/metrics/loggers.py, `cache_config_info`).
    """
    ranks = [dict(_COUNT.findall(labels)) for labels in _CACHE.findall(page)]
    counts = [int(r.get("block_size", 0)) * int(r.get("num_gpu_blocks", 0)) for r in ranks]
    return sum(counts) or None


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

"""The README's hardware guide, made by the planner: `python -m seekserve.plan.guide README.md`.

A test makes it again and compares, so that the page and the program cannot drift apart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from seekserve.config import read_tier
from seekserve.plan import planner
from seekserve.plan.catalog import Catalog, load_catalog
from seekserve.plan.ladder import climb
from seekserve.plan.memory import GIB
from seekserve.plan.wish import Plan, Wish
from seekserve.settings import Hardware, Tier

BEGIN, END = "<!-- made by seekserve.plan.guide -->", "<!-- end of what it made -->"
TIERS = ("consumer", "enterprise", "flagship")
HEAD = (
    "| hardware | model, weights | layout | context | at once | decode, at most |",
    "|---|---|---|---|---|---|",
)


def guide(catalog: Catalog) -> str:
    """Markdown: what each class of hardware gets from its tier, and what is often said wrongly."""
    return "\n".join([*_tables(catalog), *_corrections(catalog)]) + "\n"


def _tables(catalog: Catalog) -> Iterator[str]:
    for name in TIERS:
        tier = read_tier(name)
        yield f"**`--tier {name}`**: {tier.about}\n"
        yield from HEAD
        for hardware in tier.hardware:
            yield _row(catalog, tier, hardware)
        yield ""


def _row(catalog: Catalog, tier: Tier, hardware: Hardware) -> str:
    cluster = planner.cluster_of(
        catalog, f"{hardware.gpu}:{hardware.count}", hardware.nodes, hardware.memory_gib
    )
    found = climb(catalog, tier, cluster, Wish()).plan
    count = f"{hardware.count} x " if hardware.count > 1 else ""
    nodes = f"{hardware.nodes} nodes of " if hardware.nodes > 1 else ""
    cache = "" if found.kv_cache_dtype == "auto" else f", {found.kv_cache_dtype} cache"
    bound = found.speed.decode_batch1
    return (
        f"| {nodes}{count}`{hardware.gpu}` | {found.subject.name}, {found.weights}{cache} "
        f"| {layout_words(found)} | {found.max_model_len // 1024}K | {found.max_concurrency:.1f} "
        f"| {f'{bound:.0f} tok/s' if bound else 'not known'} |"
    )


def layout_words(found: Plan) -> str:
    return (found.layout.words or "one device") + (", EP" if found.layout.ep else "")


def _corrections(catalog: Catalog) -> Iterator[str]:
    """Commonly repeated and wrong, set straight with the planner's own figures."""

    def of(gpu: str, model: str, wish: Wish, nodes: int = 1) -> Plan:
        cluster = planner.cluster_of(catalog, gpu, nodes)
        return planner.plan(catalog, planner.subject_of(catalog, model), cluster, wish)

    def gb(model: str, weights: str) -> str:
        return f"{of('h200', model, Wish(weights=weights)).weights_bytes / 1e9:.1f} GB"

    small = "r1-distill-qwen-7b"
    bf16 = of("a100-80g:8", "deepseek-r1", Wish(weights="bf16"), 2)
    fp8 = of("a100-80g:8", "deepseek-r1", Wish(weights="fp8"), 2)
    sparse = of("a100-80g:8", "deepseek-v3.2", Wish(), 2)
    yield "Often repeated, and wrong:\n"
    yield (
        f"- *A 7B model in 8 bit is 4.2 GB.* It is {gb(small, 'int8')}; in 4 bit, with its 16-bit "
        f"embeddings, {gb(small, 'int4')}."
    )
    yield (
        f"- *671B runs in BF16 on two nodes of eight A100 80 GB.* That is {bf16.weights_bytes / GIB:.0f} GiB "
        f"of weights on each card. FP8 is {fp8.weights_bytes / GIB:.0f} and fits, with "
        f"{fp8.max_model_len // 1024}K of context, through kernels that unpack it to 16 bits."
    )
    yield f"- *Then V3.2 and V4 run there too.* {sparse.reasons[0]}"
    yield (
        "- *More tensor parallelism gives DeepSeek more context.* Latent attention's cache is whole on "
        "every rank; pipeline stages, data parallelism and `--dcp` divide it."
    )


def main() -> None:
    """Replaces the guide between its marks in the file named."""
    path = Path(sys.argv[1])
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{guide(load_catalog())}\n{END}{after}")


if __name__ == "__main__":
    main()

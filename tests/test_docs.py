"""What is written down is checked: README commands, snippets, routes and files; configs/reference.yaml."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from starlette.routing import Route
from typer.testing import CliRunner

from seekserve import __version__
from seekserve.app import build
from seekserve.cli import cli
from seekserve.config import load, tier_names
from seekserve.engine.fleet import Fleet
from seekserve.log import Log
from seekserve.plan import guide
from seekserve.plan.catalog import load_catalog
from seekserve.settings import Tier

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_a_command_to_run_comes_within_the_first_dozen_lines() -> None:
    assert any("make run" in line for line in README.splitlines()[:12])


def test_every_make_target_in_the_readme_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z][\w-]*)", README))
    targets = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.M))
    assert named and named <= targets


def test_every_flag_in_the_readme_is_a_flag() -> None:
    page = CliRunner().invoke(cli, ["serve", "--help"]).output
    lines = re.findall(r"^seekserve serve ([^#\n]*)", README, re.M)
    named = {flag for line in lines for flag in re.findall(r"--[a-z][a-z-]*", line)}
    assert named
    assert [flag for flag in named if not re.search(rf"{flag}(?![\w-])", page)] == []


def test_every_python_snippet_parses() -> None:
    assert blocks("python")
    for snippet in blocks("python"):
        ast.parse(snippet)


def test_every_file_the_readme_names_exists() -> None:
    named = set(re.findall(r"`((?:server|configs|tests|deploy)/[\w./-]+)`", README))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_route_in_the_readme_is_served(tmp_path: Path) -> None:
    config = load("demo", listen={}, state_dir=tmp_path)
    apps = build(config, Fleet([]), Log())
    paths = apps.api.app.openapi()["paths"] | {"/docs": {"get": {}}}
    for route in apps.ops.routes:
        assert isinstance(route, Route)
        paths.setdefault(route.path, {}).update(dict.fromkeys(map(str.lower, route.methods or ())))
    named = re.findall(r"`(GET|POST) (/[\w/{}]+)`", README)
    assert len(named) >= 8
    for method, path in named:
        served = paths.get(path) or paths.get(f"/v1{path.replace('{id}', '{model}')}")
        assert served and method.lower() in served, f"{method} {path}"


def test_every_test_that_security_names_is_there() -> None:
    """What a promise is held by."""
    rows = [row for row in SECURITY.splitlines() if row.startswith("| ") and "held by" not in row]
    named = [set(re.findall(r"`(tests/[\w./-]+)`", row)) for row in rows]
    assert len(rows) > 10 and all(named), "every promise names a test"
    missing = {path for paths in named for path in paths if not (ROOT / path).exists()}
    assert not missing


def test_security_says_how_to_report_and_invents_no_address() -> None:
    assert "Report a\nvulnerability" in SECURITY
    assert "@" not in SECURITY


def test_the_hardware_guide_is_what_the_planner_says() -> None:
    """`make hardware-guide` writes it anew."""
    written = README.partition(guide.BEGIN)[2].partition(guide.END)[0]
    assert written.strip() == guide.guide(load_catalog()).strip()


def test_the_counts_in_the_readme_are_the_catalogs() -> None:
    catalog = load_catalog()
    assert f"{len(catalog.models)} DeepSeek models" in README
    assert f"{len(catalog.accelerators)} accelerators" in README
    assert len(catalog.platforms) == 7


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def shape(model: type[BaseModel]) -> dict[str, Any]:
    """A settings model as the plain values reference.yaml should hold."""
    page: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, BaseModel)
        page[name] = shape(kind) if nested else field.default  # type: ignore[arg-type]
    return page


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_unset=True))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def test_the_reference_names_every_setting_with_its_default() -> None:
    page = yaml.safe_load((ROOT / "configs" / "reference.yaml").read_text())
    assert page.pop("tier") == "NAME"
    wanted = plain(shape(Tier))
    wanted.pop("tier")
    assert page == wanted


def test_the_reference_gives_every_setting_a_reason() -> None:
    lines = (ROOT / "configs" / "reference.yaml").read_text().splitlines()
    settings = [line for line in lines if re.match(r"\s*\w+: ", line)]
    assert settings
    assert [line for line in settings if "# " not in line] == []


@pytest.mark.parametrize("name", tier_names())
def test_a_tier_is_called_what_its_file_is_called(name: str) -> None:
    page = yaml.safe_load((ROOT / "configs" / "tiers" / f"{name}.yaml").read_text())
    assert page["tier"] == name

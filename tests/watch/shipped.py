"""What deploy/ ships to watch with, read for tests: rules, dashboards, and the metrics that they name."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
NODES = {"seekserve_engine_nodes", "seekserve_engine_nodes_joined"}
"""Only of engines over several nodes."""
PROMETHEUS_OWN = {"up"}
METRIC = re.compile(r"(?<![\w:])((?:\w+:)?(?:seekserve|vllm|process)[_:][\w:]+|up(?=\{))")
ENDS = ("_total", "_bucket", "_count", "_sum")


class Target(NamedTuple):
    """One expression of a panel."""

    where: str
    expr: str
    legend: str


def program(name: str) -> str:
    """Where it lies; the test is skipped without it."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed: on Debian, apt-get install prometheus")
    return found


def rules() -> list[dict[str, Any]]:
    pages = [yaml.safe_load(path.read_text()) for path in RULES]
    return [rule for page in pages for group in page["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in files}


def targets() -> list[Target]:
    return [
        Target(f"{name}: {panel['title']}: {one['legendFormat']}", one["expr"], one["legendFormat"])
        for name, page in dashboards().items()
        for panel in page["panels"]
        for one in panel.get("targets", ())
    ]


def plain(expr: str) -> str:
    """An expression of a dashboard with its variables filled in, as Prometheus wants it."""
    expr = expr.replace("$__rate_interval", "1m")
    return re.sub(r"\$(instance|class|engine)\b", ".*", expr)


def metrics(expr: str) -> set[str]:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    return set(METRIC.findall(bare))


def of_vllm() -> set[str]:
    """Every name in the installed vLLM's own source; importing it would take seconds."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no vLLM is installed: make setup brings one")
    source = Path(next(iter(spec.submodule_search_locations)))
    files = [*(source / "v1").rglob("*.py"), *(source / "v1" / "metrics").glob("*.py")]
    return {name for file in files for name in re.findall(r'"(vllm:\w+)"', file.read_text())}


def bare(name: str) -> str:
    """A family's name without what a sample of it ends in."""
    return next((name.removesuffix(end) for end in ENDS if name.endswith(end)), name)

"""The rules are sound: promtool checks and tries them, every alert has its runbook, every metric exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from seekserve import tls
from seekserve.log import Log
from tests.support import FakeEngine, config, gateway
from tests.test_tls import certify
from tests.watch import shipped
from tests.watch.shipped import PROMETHEUS, RULES

CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
README = (shipped.ROOT / "README.md").read_text()
RUNBOOK = (PROMETHEUS / "runbook.md").read_text()


def promtool(*words: str | Path) -> str:
    command = [shipped.program("promtool"), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_pass() -> None:
    promtool("check", "rules", *RULES)


def test_the_configuration_passes(tmp_path: Path) -> None:
    token = tmp_path / "ops_token"
    token.write_text("a token")
    page = (PROMETHEUS / "prometheus.yml").read_text()
    assert "/run/secrets/ops_token" in page
    here = page.replace("/run/secrets/ops_token", str(token)).replace(
        "rules/", f"{PROMETHEUS}/rules/"
    )
    (tmp_path / "prometheus.yml").write_text(here)
    assert f"{len(RULES)} rule files found" in promtool(
        "check", "config", tmp_path / "prometheus.yml"
    )


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_alerts_fire_and_keep_quiet(cases: Path) -> None:
    promtool("test", "rules", cases)


def test_every_alert_has_a_firing_and_a_quiet_case() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for one in case["alert_rule_test"]:
                (fires if one["exp_alerts"] else quiet).add(one["alertname"])
    assert fires == quiet == set(shipped.alerts())


def test_the_readme_counts_them() -> None:
    assert f"{len(shipped.alerts())} alerts" in README


def test_every_alert_says_what_it_is() -> None:
    for name, rule in shipped.alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert rule["for"] and set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        text = rule["annotations"]["description"]
        assert text.endswith(".") and len(text) > 60, name


def test_every_alert_has_its_paragraph_and_the_reverse() -> None:
    paragraphs = re.findall(r"^## (\w+)\n\n(.+?)(?=\n\n## |\Z)", RUNBOOK, re.M | re.S)
    assert [title for title, _ in paragraphs] == list(shipped.alerts())
    for name, rule in shipped.alerts().items():
        assert rule["annotations"]["runbook_url"] == f"deploy/prometheus/runbook.md#{name.lower()}"
    assert all(len(text) > 120 for _, text in paragraphs)


def test_the_runbook_names_panels_and_metrics_that_exist() -> None:
    pages = {page["title"].partition(": ")[2]: page for page in shipped.dashboards().values()}
    panels = {panel["title"] for page in pages.values() for panel in page["panels"]}
    flat = " ".join(RUNBOOK.split())
    named = re.findall(r"\*(Service|Engine|Tenants|Hardware plan)\*[^.;`]*?\"([^\"]+?),?\"", flat)
    assert len(named) >= 6 and {title for _, title in named} <= panels


async def test_every_metric_exists(engine: FakeEngine, tmp_path: Path) -> None:
    async with gateway(config(engine.url)) as gate:
        page = await gate.metrics()
    cert, key = certify(tmp_path / "tls")
    ours = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    ours |= {f"seekserve_{r[0]}" for r in tls.Certificate(cert, key, Log()).gauges()}
    families = ours | shipped.NODES | shipped.of_vllm()
    known = families | {shipped.bare(name) for name in families} | shipped.PROMETHEUS_OWN
    known |= shipped.recorded()
    exprs = [rule["expr"] for rule in shipped.rules()] + [t.expr for t in shipped.targets()]
    named = {name for expr in exprs for name in shipped.metrics(expr)}
    named |= shipped.metrics(" ".join(re.findall(r"`([^`]+)`", RUNBOOK)))
    named |= shipped.metrics(" ".join(re.findall(r"`(seekserve_\w+)`", README)))
    assert len(named) > 70
    assert {
        name for name in named if shipped.bare(name) not in known and name not in known
    } == set()


def test_what_is_recorded_is_used() -> None:
    exprs = [rule["expr"] for rule in shipped.rules()] + [t.expr for t in shipped.targets()]
    text = RUNBOOK + " ".join(exprs)
    assert {name for name in shipped.recorded() if name not in text} == set()

"""The dashboards are what the script makes, well formed, and their expressions parse."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.watch import shipped
from tests.watch.shipped import GRAFANA

PAGES = shipped.dashboards()


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    return PAGES[request.param]


def test_the_files_are_what_the_script_makes(tmp_path: Path) -> None:
    words = [sys.executable, str(GRAFANA / "build.py"), str(tmp_path)]
    subprocess.run(words, check=True, timeout=60)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (GRAFANA / "dashboards").iterdir()}
    assert made == kept, "python deploy/grafana/build.py makes them anew"


def test_there_are_four() -> None:
    assert {p["uid"] for p in PAGES.values()} == {
        f"seekserve-{name}" for name in ("service", "engine", "tenants", "hardware")
    }


def test_a_page_can_be_loaded_by_anybody(page: dict[str, Any]) -> None:
    assert "id" not in page and page["schemaVersion"] >= 39
    source, *variables = page["templating"]["list"]
    assert (source["type"], source["name"]) == ("datasource", "datasource")
    assert all(one["datasource"]["uid"] == "${datasource}" for one in variables)


def test_panels_have_their_own_place(page: dict[str, Any]) -> None:
    panels = page["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= 24 and at["h"] > 0, panel["title"]
        cells = set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells


def test_panels_say_what_they_show_and_what_is_good(page: dict[str, Any]) -> None:
    for panel in page["panels"]:
        if panel["type"] == "row":
            continue
        assert "Good: " in panel["description"] or "objective" in panel["description"], panel[
            "title"
        ]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["legendFormat"] and target["datasource"]["uid"] == "${datasource}"
        assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
    titles = [panel["title"] for panel in page["panels"]]
    assert len(set(titles)) == len(titles)


def test_expressions_parse(tmp_path: Path) -> None:
    rules = [{"record": "a", "expr": shipped.plain(one.expr)} for one in shipped.targets()]
    text = yaml.safe_dump(
        {"groups": [{"name": f"g{n}", "rules": [r]} for n, r in enumerate(rules)]}
    )
    (tmp_path / "all.yml").write_text(text)
    command = [shipped.program("promtool"), "check", "rules", "--lint=none", "all.yml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_provisioning_names_what_there_is() -> None:
    folder = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus" and source["isDefault"]
    (loads,) = yaml.safe_load((folder / "dashboards" / "seekserve.yml").read_text())["providers"]
    assert loads["type"] == "file" and loads["options"]["path"]

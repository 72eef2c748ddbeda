"""What a dashboard is made of, and its JSON: one look for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OURS = 'job="seekserve",instance=~"$instance"'
COLUMNS = 24
COLOURS = {  # by what a legend begins with: the same on every panel
    "{{class}}": {"enterprise": "blue", "public": "green", "batch": "orange"},
    "{{status}}": {  # the last that matches holds
        "200": "green",
        "4\\d\\d": "yellow",
        "499": "#808080",
        "5\\d\\d": "red",
    },
    "{{how}}": {"exited": "orange", "fenced": "red", "stalled": "purple"},
}
DASHED = ("p50", "promised", "planned", "wanted", "target", "capacity")


@dataclass(frozen=True)
class Panel:
    """`targets` are expression and legend; in an expression OURS stands for `§`. `bounds` are values from
    which on a colour holds. `about` says what is shown and what a good value is.
    """

    title: str
    about: str
    unit: str
    targets: tuple[tuple[str, str], ...]
    width: int = 8
    kind: str = "timeseries"
    bounds: tuple[tuple[float, str], ...] = ()
    stacked: bool = False
    height: int = 8
    most: float | None = None
    words: dict[str, tuple[str, str]] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                self._target(letter, *one)
                for letter, one in zip("ABCDEFGH", self.targets, strict=False)
            ],
            "fieldConfig": {
                "defaults": self._defaults(),
                "overrides": self._overrides(),
            },
            "options": OPTIONS[self.kind],
        }

    def _target(self, letter: str, expr: str, legend: str) -> dict[str, Any]:
        target = {
            "refId": letter,
            "datasource": SOURCE,
            "expr": expr.replace("§", OURS),
            "legendFormat": legend,
            "editorMode": "code",
        }
        at_once = self.kind in ("stat", "bargauge")
        return target | ({"instant": True, "range": False} if at_once else {"range": True})

    def _defaults(self) -> dict[str, Any]:
        steps = [{"color": "green", "value": None}]
        steps += [{"color": colour, "value": value} for value, colour in self.bounds]
        defaults: dict[str, Any] = {
            "unit": self.unit,
            "min": 0,
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if self.most is not None:
            defaults["max"] = self.most
        if self.words:
            options = {value: {"text": t, "color": c} for value, (t, c) in self.words.items()}
            defaults["mappings"] = [{"type": "value", "options": options}]
        if self.kind == "timeseries":
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = self._lines()
        else:
            defaults["color"] = {"mode": "thresholds"}
        return defaults

    def _overrides(self) -> list[dict[str, Any]]:
        if self.kind != "timeseries":
            return []
        return _overrides([legend for _, legend in self.targets])

    def _lines(self) -> dict[str, Any]:
        return {
            "lineWidth": 2,
            "fillOpacity": 30 if self.stacked else 8,
            "gradientMode": "opacity",
            "showPoints": "never",
            "spanNulls": 60_000,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if self.bounds else "off"},
        }


@dataclass(frozen=True)
class Row:
    title: str


@dataclass(frozen=True)
class Variable:
    name: str
    label: str
    query: str


@dataclass(frozen=True)
class Dashboard:
    name: str
    title: str
    about: str
    variables: tuple[Variable, ...]
    panels: tuple[Panel | Row, ...]

    def json(self) -> dict[str, Any]:
        return {
            "uid": f"seekserve-{self.name}",
            "title": f"seekserve: {self.title}",
            "description": self.about,
            "tags": ["seekserve"],
            "schemaVersion": 41,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [LINKS],
            "annotations": {"list": [RESTARTS]},
            "templating": {"list": [DATASOURCE, *map(_variable, self.variables)]},
            "panels": _laid_out(self.panels),
        }


OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        "wideLayout": True,
    },
    "bargauge": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
        "showUnfilled": True,
    },
    "state-timeline": {
        "showValue": "auto",
        "rowHeight": 0.9,
        "mergeValues": True,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single"},
    },
}
DATASOURCE = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
    "hide": 0,
}
LINKS = {
    "type": "dashboards",
    "title": "seekserve",
    "tags": ["seekserve"],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
}
RESTARTS = {
    "name": "Engine restarts",
    "datasource": SOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": f"sum by (engine) (changes(seekserve_engine_restarts_total{{{OURS}}}[1m])) > 0",
    "titleFormat": "{{engine}} was started again",
    "step": "60s",
}


def _variable(one: Variable) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": one.query, "refId": one.name},
        "definition": one.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _overrides(legends: Sequence[str]) -> list[dict[str, Any]]:
    coloured = [
        _override(f"/^{name}\\b/", "color", {"mode": "fixed", "fixedColor": colour})
        for start, names in COLOURS.items()
        if any(legend.startswith(start) for legend in legends)
        for name, colour in names.items()
    ]
    dashes = {"fill": "dash", "dash": [6, 6]}
    dashed = [
        _override(f"/{end}$/", "custom.lineStyle", dashes)
        for end in DASHED
        if any(legend.endswith(end) for legend in legends)
    ]
    return coloured + dashed


def _override(regex: str, name: str, value: object) -> dict[str, Any]:
    matcher = {"id": "byRegexp", "options": regex}
    return {"matcher": matcher, "properties": [{"id": name, "value": value}]}


def _laid_out(panels: tuple[Panel | Row, ...]) -> list[dict[str, Any]]:
    """From left to right, and in a new line where the next does not fit."""
    made: list[dict[str, Any]] = []
    x = y = tallest = 0
    for number, panel in enumerate(panels, 1):
        wide = COLUMNS if isinstance(panel, Row) else panel.width
        if x + wide > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        if isinstance(panel, Row):
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            row = {"id": number, "type": "row", "title": panel.title, "gridPos": place}
            made.append(row | {"collapsed": False, "panels": []})
            x, tallest = COLUMNS, 1
        else:
            made.append(panel.json(number, x, y))
            x, tallest = x + wide, max(tallest, panel.height)
    return made

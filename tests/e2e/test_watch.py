"""A real Prometheus scrapes the demo tier by the shipped configuration and runs every shipped expression."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.server import MODEL, OPS_TOKEN, Served, free_port
from tests.watch import shipped

PATIENCE_S = 120
SCRAPE_S = 1
CLASSES = ("enterprise", "public", "batch")
EMPTY = {
    "hardware: Weights on one device": "the demo's few megabytes are too light for vLLM to tell",
    "hardware: Starting now, at": "no engine starts meanwhile",
    "hardware: Nodes joined": "it has one node",
    "hardware: Days until the certificate ends": "it serves without TLS",
    "hardware: Old settings in force: {{instance}} certificate": "it serves without TLS",
    "engine: Prefix cache hits": "its kind of attention has no prefix cache on a CPU",
    "engine:vllm_prefix_cache_hits:ratio_rate5m": "its kind of attention has no prefix cache on a CPU",
    "tenants: Prompts from the cache": "its kind of attention has no prefix cache on a CPU",
    "tenants: Of the monthly budget": "it has no prices, so nobody spends anything",
}
"""What the demo tier cannot show, and why. It is held to that: what does show must leave this list."""
RARE = {
    "service: Wait foretold against wait": "nobody waits for half a second",
    "service: Streams broken, and saved: {{how}}": "no engine is lost",
    "engine: Starts, an hour: {{engine}} left out": "no engine has answered wrongly",
}
"""What it shows only after what should not happen, and other tests of this server may have brought about."""


class Asking:
    """Prometheus' HTTP API."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def api(self, path: str, **query: str) -> Any:
        told = self._client.get(f"/api/v1/{path}", params=query).json()
        assert told["status"] == "success", f"{query}: {told}"
        return told["data"]

    def shows(self, expr: str) -> bool:
        """Whether an expression, which must not fail, comes to a number."""
        rows = self.api("query", query=expr)["result"]
        return any(not math.isnan(float(row["value"][1])) for row in rows)


@contextmanager
def running(folder: Path, served: Served) -> Iterator[Asking]:
    """Prometheus with the shipped configuration, but for its pace and where things lie."""
    program, port = shipped.program("prometheus"), free_port()
    page = yaml.safe_load((shipped.PROMETHEUS / "prometheus.yml").read_text())
    page["global"] = dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{SCRAPE_S}s"
    )
    page["rule_files"] = [str(shipped.PROMETHEUS / path) for path in page["rule_files"]]
    (job,) = page["scrape_configs"]
    job["authorization"]["credentials_file"] = str(folder / "ops_token")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{served.ops_port}"]}]
    (folder / "ops_token").write_text(OPS_TOKEN)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(page))
    words = [
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
    ]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "output").open("wb") as sink:
        process = subprocess.Popen(words, stdout=sink, stderr=subprocess.STDOUT)
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=base, trust_env=False, timeout=30) as client:
            _until_up(process, client, folder / "output")
            yield Asking(client)
    finally:
        process.terminate()
        process.wait(20)


def _until_up(process: subprocess.Popen[bytes], client: httpx.Client, output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        try:
            told = client.get("/api/v1/query", params={"query": 'up{job="seekserve"} == 1'}).json()
            if told["data"]["result"]:
                return
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.2)
    targets = client.get("/api/v1/targets").text
    raise AssertionError(f"Prometheus does not scrape: {targets}\n{output.read_text()}")


@pytest.fixture(scope="module")
def asking(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with running(tmp_path_factory.mktemp("prometheus"), server) as asking:
        yield asking


@pytest.fixture(scope="module")
def keys(server: Served) -> Iterator[dict[str, str]]:
    """One of each class, and one that may ask once a minute."""
    asked: list[dict[str, Any]] = [{"name": f"watch-{c}", "class": c} for c in CLASSES]
    asked.append({"name": "watch-slow", "class": "batch", "requests_per_min": 1})
    with server.ops() as ops:
        made = [
            ops.post("/keys", json=one | {"expires": "30d", "monthly_budget": 9.0}) for one in asked
        ]
        assert all(answer.status_code == 201 for answer in made)
        yield {one["name"]: answer.json()["key"] for one, answer in zip(asked, made, strict=True)}
        for one in asked:
            ops.post(f"/keys/{one['name']}/revoke")


def talk(server: Served, keys: dict[str, str]) -> None:
    """A stream for each class, and what is refused."""
    with server.client() as client:
        again = ("watch-slow", keys["watch-slow"])
        for name, key in (*keys.items(), again, again, ("nobody", "sk-wrong")):
            said = {"model": MODEL, "stream": True, "max_tokens": 40}
            said |= {"messages": [{"role": "user", "content": "What is 17 + 25?"}]}
            bearer = {"authorization": f"Bearer {key}"}
            answer = client.post("/v1/chat/completions", json=said, headers=bearer)
            wanted = {"nobody": {401, 429}, "watch-slow": {200, 429}}.get(name, {200})
            assert answer.status_code in wanted | {503}, answer.text  # a busy machine refuses some


def expressions() -> dict[str, str]:
    """What has to show something, by where it stands."""
    said = {one.where: shipped.plain(one.expr) for one in shipped.targets()}
    return said | {rule["record"]: rule["record"] for rule in shipped.rules() if "record" in rule}


def among(where: str, known: Iterable[str]) -> bool:
    return any(where.startswith(one) for one in known)


def test_every_expression_shows_what_it_can(
    server: Served, asking: Asking, keys: dict[str, str]
) -> None:
    wanted = {w: expr for w, expr in expressions().items() if not among(w, EMPTY | RARE)}
    deadline = time.monotonic() + PATIENCE_S
    while wanted and time.monotonic() < deadline:
        talk(server, keys)
        time.sleep(SCRAPE_S)
        wanted = {where: expr for where, expr in wanted.items() if not asking.shows(expr)}
    assert wanted == {}, "no data"
    shown = [w for w, expr in expressions().items() if among(w, EMPTY) and asking.shows(expr)]
    assert shown == [], "these do show something: take them from the list"


def test_every_rule_is_well_and_no_alert_fires(asking: Asking) -> None:
    deadline = time.monotonic() + PATIENCE_S
    rules: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        rules = [rule for group in asking.api("rules")["groups"] for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in rules):
            break
        time.sleep(0.5)
    assert len(rules) == len(shipped.rules())
    assert [(r["name"], r["lastError"]) for r in rules if r["health"] != "ok"] == []
    firing = {r["name"] for r in rules if r.get("state") == "firing"}
    machine = {"SeekserveStateDiskFull"}  # the disk that tests write to may be any
    assert firing - machine == set()


def test_annotations_and_alerts_are_asked_without_an_error(asking: Asking) -> None:
    marks = [
        mark["expr"]
        for page in shipped.dashboards().values()
        for mark in page["annotations"]["list"]
    ]
    for expr in (*marks, *(rule["expr"] for rule in shipped.rules())):
        asking.api("query", query=shipped.plain(expr))

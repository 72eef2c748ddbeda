"""The doctor and the operators' socket on a server with a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.e2e.server import Served


def run(server: Served, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"SEEKSERVE_STATE_DIR": str(server.output.parent)}
    command = [sys.executable, "-m", "seekserve", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_demo_server_is_well(server: Served) -> None:
    result = run(server, "doctor", "--json", "--tier", "demo")
    findings = json.loads(result.stdout)["findings"]
    said: dict[str, list[str]] = {"ok": [], "warn": [], "bad": []}
    for one in findings:
        said[one["grade"]].append(one["said"])
    machine = ("files may be open", "MiB are free", "The clock")  # not of our making
    assert [one for one in said["bad"] if not any(word in one for word in machine)] == []
    assert any("has its private socket" in one for one in said["ok"])
    assert any("no flag or variable opens it" in one for one in said["ok"])


def test_a_reload_of_nothing_new(server: Served) -> None:
    result = run(server, "reload")
    assert (result.returncode, result.stdout) == (0, "Nothing has changed.\n"), result.stderr


def test_the_engine_is_told_whole(server: Served) -> None:
    with server.ops() as ops:
        (engine,) = ops.get("/engines").json()["engines"]
    assert engine["state"] == "ready" and engine["address"].startswith("unix:")

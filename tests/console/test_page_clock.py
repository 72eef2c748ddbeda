"""The page goes by the server's clock, also when that is set back."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from seekserve.console.pages import FOLDER

TICKS = """
globalThis.sessionStorage = { getItem: () => null };
const history = { until: 6401, step_s: 1, series: { rate: [7, 8] } };
const past = { history, events: { events: [], more: false } };
globalThis.fetch = async (path) => Response.json(past[path.split("/").at(-1)]);
const { Store } = await import(process.argv[1]);
const store = new Store();
const told = new Promise((heard) => store.on((what) => what === "history" && heard()));
const tick = (at, rate) => store.heard("tick", { at, values: { rate }, engines: [] });
const seen = () => [store.last("rate"), store.times.at(-1), Math.round(store.now())];
tick(10000, 1);
tick(10001, 2);
tick(10000, 3);
const before = seen();
tick(6401, 8);
const after = seen();
await told;
const whole = [[...store.times], [...store.column("rate")]];
tick(6402, 9);
console.log(JSON.stringify({ before, after, whole, next: seen() }));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="wants node")
def test_figures_go_on_after_the_servers_clock_was_set_back() -> None:
    """A tick that history told of already is no such clock."""
    words = ["node", "--input-type=module", "-e", TICKS, (FOLDER / "store.js").as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == {
        "before": [2, 10001, 10001],
        "after": [8, 6401, 6401],
        "whole": [[6400, 6401], [7, 8]],
        "next": [9, 6402, 6402],
    }

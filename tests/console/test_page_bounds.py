"""What the page reads has an end, whatever the server that it is given to sends."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from seekserve.console.pages import FOLDER

ENDLESS = """
globalThis.sessionStorage = { getItem: () => null };
const { events } = await import(process.argv[1]);
let sent = 0;
const more = (way) => way.enqueue(new Uint8Array(65536).fill(120), (sent += 65536));
const body = new ReadableStream({ pull: more });
try {
  for await (const one of events(body)) console.log(one);
} catch (error) {
  console.log(error.message, sent < 8e6);
}
"""


@pytest.mark.skipif(not shutil.which("node"), reason="wants node")
def test_an_event_without_an_end_is_given_up() -> None:
    words = ["node", "--input-type=module", "-e", ENDLESS, (FOLDER / "api.js").as_uri()]
    told = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert told.stdout == "What comes is no stream of events. true\n", told.stderr

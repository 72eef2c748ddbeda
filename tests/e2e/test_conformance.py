"""The README's table of conformance is what vLLM alone and seekserve really answered.

`SEEKSERVE_WRITE_README=1 pytest tests/e2e/test_conformance.py` writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import conformance_more
from tests.e2e.conformance import FEATURES, Api
from tests.e2e.server import KEY, Served, serve

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = (
    "<!-- conformance: written by tests/e2e/test_conformance.py -->",
    "<!-- /conformance -->",
)
MISSING = {"files, and server-side tools (search, fetch, OCR, speech)"}
assert conformance_more.__doc__


@pytest.fixture(scope="module")
def engine(server: Served) -> Path:
    return next(server.output.parent.glob("seekserve-*/engine-0.sock"))


@pytest.fixture(scope="module")
def alone(engine: Path) -> Iterator[Api]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(engine)), base_url="http://vllm"
    ) as http:
        http.timeout = httpx.Timeout(60)
        yield Api(http)


@pytest.fixture(scope="module")
def ours(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """In front of the same engine, told that its model fills in the middle as DeepSeek-V3.1 does."""
    tier = tmp_path_factory.mktemp("tier") / "attached.yaml"
    tier.write_text("tier: attach\nengine: {family: v3.1}\n")
    with serve("--tier", str(tier), "--engine", f"unix:{engine}", key=KEY) as served:
        served.wait_ready()
        with served.client() as http:
            yield Api(http)


def test_the_table(alone: Api, ours: Api) -> None:
    rows = [
        (words, documented, check(alone), check(ours))
        for words, (documented, check) in FEATURES.items()
    ]
    assert {words for words, documented, _, kept in rows if not kept} == MISSING
    table = rendered(rows)
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    if os.environ.get("SEEKSERVE_WRITE_README"):
        README.write_text(f"{before}{BEGIN}\n{table}{END}{after}")
        return
    assert written.strip() == table.strip()


def rendered(rows: list[tuple[str, bool, bool, bool]]) -> str:
    words = {True: "yes", False: "no"}
    lines = ["| | DeepSeek documents it | vLLM 0.32 alone | seekserve |", "|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(words[x] for x in told)} |" for name, *told in rows]
    return "\n".join(lines) + "\n"

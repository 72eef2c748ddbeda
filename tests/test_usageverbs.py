"""`usage`: what it prints of a ledger, while it is written to, and when there is none to read."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seekserve.cli import cli
from seekserve.errors import ConfigError
from seekserve.gateway import ledgerfile
from seekserve.gateway.accounts import moment
from seekserve.gateway.ledgerfile import FILE, opened
from seekserve.gateway.rows import Row, write

DAY_S = 86_400
NOW = 1_783_000_000.0  # 2026-07-02 13:46 UTC


def row(number: int, **more: Any) -> Row:
    plain = Row(
        f"id-{number}", "", time.time() - 60, "ann", "public", "fake", "chat", 200, "stop", "",
        1000, 400, 50, 200, 0.1, 0.2, 1.5, 264_000, "USD",
    )  # fmt: skip
    return plain._replace(**more)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEKSERVE_STATE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def kept(folder: Path) -> Path:
    """A ledger of two keys, with a row that is older than a week."""
    rows = [row(n) for n in range(3)]
    rows += [row(3, key="bob", model="other", key_class="batch", status=429, reason="busy", cost=0)]
    rows += [row(4, time=time.time() - 8 * DAY_S, key="old")]
    with closing(opened(folder / FILE, 1)) as db:
        write(db, rows)
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["usage", *words])


def test_a_table_with_a_total(kept: Path) -> None:
    result = run()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == [
        "key", "requests", "answered", "refused", "broken", "prompt", "cached", "reasoning",
        "completion", "cost",
    ]  # fmt: skip
    assert ["ann", "3", "3", "0", "0", "3,000", "1,200", "150", "600", "0.0008", "USD"] in lines
    assert ["bob", "1", "0", "1", "0", "1,000", "400", "50", "200", "0.0000", "USD"] in lines
    assert ["total", "4", "3", "1", "0", "4,000", "1,600", "200", "800", "0.0008", "USD"] in lines
    assert "old" not in result.stdout


@pytest.mark.parametrize(
    ("by", "names"),
    [("key", {"ann", "bob"}), ("class", {"public", "batch"}), ("model", {"fake", "other"})],
)
def test_json_by_each_name(kept: Path, by: str, names: set[str]) -> None:
    told = json.loads(run("--by", by, "--json").stdout)
    assert {entry[by] for entry in told["rows"]} == names
    assert told["by"] == by
    assert [(t["requests"], t["currency"]) for t in told["totals"]] == [(4, "USD")]
    assert told["totals"][0]["cost"] == pytest.approx(0.000792)


def test_days_in_their_order(kept: Path) -> None:
    told = json.loads(run("--by", "day", "--since", "30d", "--json").stdout)
    days = [entry["day"] for entry in told["rows"]]
    assert days == sorted(days)
    assert days[0] == time.strftime("%Y-%m-%d", time.gmtime(time.time() - 8 * DAY_S))


def test_csv_for_spreadsheets(kept: Path) -> None:
    lines = list(csv.DictReader(io.StringIO(run("--csv").stdout)))
    assert [line["key"] for line in lines] == ["ann", "bob"]
    assert float(lines[0]["cost"]) == pytest.approx(0.000792)
    assert lines[0]["currency"] == "USD"


def test_nothing_used_yet(folder: Path) -> None:
    opened(folder / FILE, 1).close()
    assert run().exit_code == 0
    assert json.loads(run("--json").stdout)["rows"] == []
    assert len(run("--csv").stdout.splitlines()) == 1


def test_it_works_beside_a_writer(kept: Path) -> None:
    with closing(sqlite3.connect(kept / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert len(json.loads(run("--json").stdout)["rows"]) == 2


def test_a_name_is_no_markup(folder: Path) -> None:
    with closing(opened(folder / FILE, 1)) as db:
        write(db, [row(0, key="[red]x[/]")])
    assert "[red]x[/]" in run().stdout


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
@pytest.mark.parametrize("terminal", ["", "1"])
def test_no_figure_is_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch, terminal: str, charset: str
) -> None:
    """Neither in a window of 80 columns nor in a pipe, whatever is read there."""
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("TERM", "dumb")
    name = "team-search-nightly-reindexing" * 4
    with closing(opened(folder / FILE, 1)) as db:
        write(db, [row(0, key=name, cost=123_456_789_000_000_000)])
    result = CliRunner(charset=charset).invoke(cli, ["usage", "--by", "key"])
    assert result.exit_code == 0, result.exception
    assert name in result.stdout and result.stdout.count("123,456,789.0000 USD") == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "neither a span nor a date"),
        (("--since", "-1d"), "neither a span nor a date"),
        (("--since", "2026-02-30"), "neither a span nor a date"),
        (("--since", ""), "neither a span nor a date"),
        (("--since", "9999-01-01"), "still to come"),
        (("--json", "--csv"), "cannot both"),
        (("--by", "colour"), "colour"),
    ],
)
def test_wrong_input_is_told(kept: Path, words: tuple[str, ...], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_no_ledger_yet(folder: Path) -> None:
    result = run()
    assert result.exit_code == 2
    assert "There is no ledger yet" in result.output and "serve begins one" in result.output
    assert list(folder.iterdir()) == [], "reading makes nothing"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"garbage" * 999), "damaged"),
        (lambda path: path.write_bytes(b""), "no ledger yet"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_a_ledger_that_cannot_be_read(folder: Path, spoil: Any, says: str) -> None:
    spoil(folder / FILE)
    result = run("--json")
    assert result.exit_code == 2
    assert says in json.loads(result.stdout)["error"]["message"]


def test_a_newer_ledger(kept: Path) -> None:
    with closing(sqlite3.connect(kept / FILE)) as db:
        db.execute("PRAGMA user_version = 99")
    result = run()
    assert result.exit_code == 2 and "newer seekserve" in result.output


def test_an_older_ledger(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgerfile, "STEPS", (*ledgerfile.STEPS, ("SELECT 1",)))
    result = run()
    assert result.exit_code == 2 and "Start seekserve once" in result.output


def test_spans_and_dates() -> None:
    assert moment("30m", NOW) == NOW - 1800
    assert moment("24h", NOW) == moment("1d", NOW) == NOW - DAY_S
    assert moment("2w", NOW) == NOW - 14 * DAY_S
    assert moment("999999w", NOW) == 0
    assert moment("2026-07-02", NOW) == 1_782_950_400
    with pytest.raises(ConfigError):
        moment("2026-07-03", NOW)

"""`seekserve keys`: what each verb prints, keeps and refuses, and that no key is shown twice."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from seekserve import keypages
from seekserve.cli import cli
from seekserve.config import hash_key
from seekserve.errors import ConfigError
from seekserve.gateway import keychanges, keyfile
from seekserve.gateway.keys import Key

TEXT = re.compile(r"sk-seek-[0-9a-f]{12}-[A-Za-z0-9_-]{43}")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEKSERVE_STATE_DIR", str(tmp_path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / keyfile.NAME


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ("keys", *words))


def added(name: str, *words: str) -> str:
    """The text of a new key."""
    result = run("add", name, *words)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def told(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


def failed(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def test_a_key_is_shown_once_alone_on_stdout(path: Path) -> None:
    result = run("add", "alice")
    text = result.stdout.strip()
    assert TEXT.fullmatch(text)
    assert "not shown again" in result.stderr and text not in result.stderr
    pages = [path.read_text(), run("list").output, run("show", "alice").output]
    pages += [run(*words, "--json").output for words in (("list",), ("show", "alice"))]
    secret, digest = text.rpartition("-")[2], hash_key(text).hex()
    assert [page for page in pages if secret in page] == []
    assert [page for page in pages[1:] if digest[:16] in page] == []
    assert digest in pages[0]


def test_everything_that_is_said_of_a_key_is_kept_and_shown() -> None:
    added(
        "alice", "--class", "batch", "--models", "a,b", "--models", "c", "--requests-per-min", "60",
        "--tokens-per-min", "60000", "--concurrency", "4", "--monthly-budget", "12.5",
        "--expires", "2099-01-31",
    )  # fmt: skip
    shown = told("show", "alice")
    wanted = {
        "name": "alice",
        "class": "batch",
        "models": ["a", "b", "c"],
        "requests_per_min": 60,
        "tokens_per_min": 60000,
        "concurrency": 4,
        "monthly_budget": 12.5,
        "expires_at": "2099-02-01T00:00:00Z",
        "revoked_at": None,
        "old_until": None,
        "state": "active",
    }
    assert {name: shown[name] for name in wanted} == wanted
    assert told("list") == [shown]
    page = run("list").stdout + run("show", "alice").stdout
    for word in ("alice", "batch", "a, b, c", "60,000", "12.50", "2099-02-01 00:00 UTC", "active"):
        assert page.count(word) >= 2, word


LONG = "team-search-nightly-reindexing-of-the-archive"
WHOLE = (
    "--models", f"{'m' * 40},{'n' * 40}", "--requests-per-min", "200000", "--tokens-per-min", "60000000",
    "--monthly-budget", "123456.75", "--expires", "2099-01-31",
)  # fmt: skip


@pytest.mark.parametrize("terminal", ["", "1"])
def test_nothing_of_a_key_is_cut_in_a_pipe_or_a_narrow_window(
    monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    added(LONG, *WHOLE)
    row = run("list").stdout.splitlines()[1]
    for word in (LONG, f"{'m' * 40}, {'n' * 40}", "200,000", "60,000,000", "123,456.75"):
        assert word in row


def test_a_list_of_keys_needs_no_utf_8() -> None:
    added(LONG, *WHOLE)
    result = CliRunner(charset="latin-1").invoke(cli, ("keys", "list"))
    assert result.exit_code == 0 and LONG in result.stdout, result.exception


def test_the_sheet_of_a_key_goes_on_below_where_a_window_is_narrow(path: Path) -> None:
    added(LONG, *WHOLE)
    window = Console(file=io.StringIO(), width=40)
    window.print(keypages.sheet(keyfile.read(path).keys[0], datetime.now(UTC)))
    assert isinstance(window.file, io.StringIO)
    lines = window.file.getvalue().splitlines()
    assert LONG in "".join(lines[:2]).replace(" ", "").removeprefix("name")


def test_no_keys_are_a_list_too() -> None:
    assert told("list") == []
    result = run("list")
    assert result.exit_code == 0 and "keys add" in result.stderr


def test_rotating_shows_a_new_text_and_keeps_the_old_for_its_grace(path: Path) -> None:
    old = added("alice")
    new = run("rotate", "alice", "--grace", "30m").stdout.strip()
    assert TEXT.fullmatch(new) and new != old and new[:20] == old[:20]
    (key,) = keyfile.read(path).keys
    assert [one.sha256 for one in key.secrets] == [hash_key(t).hex() for t in (new, old)]
    first, second = (one.until for one in key.secrets)
    assert first is None and second is not None
    assert timedelta(minutes=29) < second - datetime.now(UTC) < timedelta(minutes=31)
    assert told("show", "alice")["old_until"]
    newest = run("rotate", "alice", "--grace", "0s")
    assert "has ended" in newest.stderr
    (key,) = keyfile.read(path).keys
    ends = [one.until for one in key.secrets]
    assert ends[0] is None and all(end and end <= datetime.now(UTC) for end in ends[1:])


def test_a_later_rotation_lengthens_no_grace(path: Path) -> None:
    added("alice")
    run("rotate", "alice", "--grace", "30m")
    run("rotate", "alice", "--grace", "2w")
    (key,) = keyfile.read(path).keys
    newest, before, first = (one.until for one in key.secrets)
    assert newest is None and before and first and first < before


def test_replaced_secrets_are_forgotten_in_the_end(path: Path) -> None:
    added("alice")
    (key,) = keys = keyfile.read(path).keys
    now = datetime.now(UTC)
    for _ in range(50):
        now += timedelta(days=7)
        keys = keychanges.rotated(keys, "alice", key.secrets[0], timedelta(hours=1), now)
    assert len(keys[0].secrets) <= 6


def test_revoking_ends_a_key_and_keeps_its_name(path: Path) -> None:
    added("alice")
    assert run("revoke", "alice").exit_code == 0
    since = told("show", "alice")["revoked_at"]
    assert since and told("show", "alice")["state"] == "revoked"
    assert run("revoke", "alice").exit_code == 0, "it is what was asked for"
    assert told("show", "alice")["revoked_at"] == since
    assert "taken, by a key that was revoked" in failed("add", "alice")
    assert "is revoked" in failed("rotate", "alice")
    assert len(keyfile.read(path).keys) == 1


def test_changing_a_key_changes_what_is_named_and_says_before_and_after() -> None:
    added("alice", "--class", "batch", "--monthly-budget", "50", "--requests-per-min", "60")
    before = told("show", "alice")
    result = run(
        "change", "alice", "--monthly-budget", "0.125", "--requests-per-min", "none", "--models", "a,b",
        "--models", "[c]", "--expires", "2099-01-31", "--scope", "operator",
    )  # fmt: skip
    assert result.exit_code == 0 and result.stdout == ""
    assert result.stderr.splitlines() == [
        "alice: scope: client -> operator",
        "alice: models: all -> a, b, [c]",
        "alice: req/min: 60 -> -",
        "alice: budget/month: 50.00 -> 0.125",
        "alice: expires: never -> 2099-02-01 00:00 UTC",
        "A running server follows within two seconds.",
    ]
    assert told("show", "alice") == before | {
        "scope": "operator",
        "models": ["a", "b", "[c]"],
        "requests_per_min": None,
        "monthly_budget": 0.125,
        "expires_at": "2099-02-01T00:00:00Z",
    }
    gone = ("--class", "--models", "--monthly-budget", "--expires", "--concurrency")
    assert run("change", "alice", *(word for one in gone for word in (one, "none"))).exit_code == 0
    shown = told("show", "alice")
    assert (shown["class"], shown["models"]) == (None, [])
    assert {shown[one] for one in ("monthly_budget", "expires_at", "concurrency")} == {None}
    assert "alice: as it was" in run("change", "alice", "--class", "none").stderr
    assert "Note: The class 'gold'" in run("change", "alice", "--class", "gold").stderr


def test_a_key_that_has_ended_is_not_changed_back(path: Path) -> None:
    added("alice", "--expires", "2099-01-31")
    assert run("revoke", "alice").exit_code == 0
    assert "is revoked" in failed("change", "alice", "--monthly-budget", "1")
    (key,) = keyfile.read(path).keys
    keys = (key.model_copy(update={"revoked_at": None, "expires_at": datetime.now(UTC)}),)
    with pytest.raises(ConfigError, match="is expired"):
        keychanges.changed(keys, "alice", {"expires_at": None}, datetime.now(UTC))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "alice"), "alice is taken"),
        (("add", "api-key"), "kept for the key that --api-key gives"),
        (("add", ""), "NAME does not fit"),
        (("add", "two words"), "NAME does not fit"),
        (("add", "a" * 65), "NAME does not fit"),
        (("add", "new\n"), "NAME does not fit"),
        (("add", "b", "--requests-per-min", "-1"), "--requests-per-min does not fit"),
        (("add", "b", "--tokens-per-min", "0"), "--tokens-per-min does not fit"),
        (("add", "b", "--concurrency", str(10**15)), "--concurrency does not fit"),
        (("add", "b", "--monthly-budget", "-0.5"), "--monthly-budget does not fit"),
        (("add", "b", "--monthly-budget", "nan"), "--monthly-budget does not fit"),
        (("add", "b", "--monthly-budget", "inf"), "--monthly-budget does not fit"),
        (("add", "b", "--concurrency", "many"), "--concurrency"),
        (("add", "b", "--models", ""), "--models does not fit"),
        (("add", "b", "--models", "a,,b"), "--models does not fit"),
        (("add", "b", "--class", "x" * 65), "--class does not fit"),
        (("add", "b", "--expires", "30"), "no time that can be read"),
        (("add", "b", "--expires", "tomorrow"), "or a day, such as 2027-01-31"),
        (("add", "b", "--expires", ""), "no time that can be read"),
        (("add", "b", "--expires", "-3d"), "no time that can be read"),
        (("add", "b", "--expires", "2027-02-30"), "there is no day"),
        (("add", "b", "--expires", "2020-01-31"), "is over already"),
        (("add", "b", "--expires", "0d"), "is over already"),
        (("add", "b", "--class", "gold", "--tier", "demo"), "none of enterprise, public, batch"),
        (("add", "b", "--class", "gold", "--tier", "nowhere"), "There is no tier 'nowhere'"),
        (("show", "alcie"), "Did you mean alice?"),
        (("show", "zzz"), "keys list"),
        (("revoke", "alcie"), "Did you mean alice?"),
        (("rotate", "alcie"), "Did you mean alice?"),
        (("rotate", "alice", "--grace", "soon"), "--grace 'soon' is no time"),
        (("change", "alcie", "--concurrency", "2"), "Did you mean alice?"),
        (("change", "alice"), "keys change --help"),
        (("change", "alice", "--requests-per-min", "many"), "--requests-per-min does not fit"),
        (("change", "alice", "--tokens-per-min", "-1"), "--tokens-per-min does not fit"),
        (("change", "alice", "--concurrency", "0"), "--concurrency does not fit"),
        (("change", "alice", "--monthly-budget", "nan"), "--monthly-budget does not fit"),
        (("change", "alice", "--class", "x" * 65), "--class does not fit"),
        (("change", "alice", "--models", "a,"), "--models does not fit"),
        (("change", "alice", "--expires", ""), "no time that can be read"),
        (("change", "alice", "--expires", "2020-01-31"), "is over already"),
        (("change", "alice", "--scope", "king"), "--scope"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_changes_nothing(
    path: Path, words: tuple[str, ...], said: str
) -> None:
    added("alice")
    before = path.read_bytes()
    assert said in failed(*words)
    assert path.read_bytes() == before


def test_an_unknown_class_is_only_noted_where_no_tier_is_named(tmp_path: Path) -> None:
    result = run("add", "alice", "--class", "gold")
    assert result.exit_code == 0 and "Note: The class 'gold'" in result.stderr
    tier = tmp_path / "tier.yaml"
    tier.write_text("tier: mine\nclasses: {gold: {share: 1}}\ndefault_class: gold\n")
    result = run("add", "bob", "--class", "gold", "--tier", str(tier))
    assert result.exit_code == 0 and "Note" not in result.stderr
    assert "none of gold" in failed("add", "carol", "--class", "batch", "--tier", str(tier))


@pytest.mark.parametrize(
    "words",
    [
        ("add", "bob"),
        ("list",),
        ("show", "alice"),
        ("rotate", "alice"),
        ("revoke", "alice"),
        ("change", "alice", "--concurrency", "2"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_left_alone(
    path: Path, words: tuple[str, ...]
) -> None:
    added("alice")
    good = path.read_bytes()
    for text, said in ((b"{", "damaged"), (b'{"version": 2, "keys": []}', "newer seekserve")):
        path.write_bytes(text)
        assert said in failed(*words)
        assert path.read_bytes() == text
    path.write_bytes(good)
    path.chmod(0o644)
    assert f"chmod 600 {path}" in failed(*words)
    assert path.read_bytes() == good


def test_failures_are_json_where_that_was_asked_for() -> None:
    result = run("show", "nobody", "--json")
    assert result.exit_code == 2
    assert "nobody" in json.loads(result.stdout)["error"]["message"]


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEEKSERVE_STATE_DIR", str(tmp_path / "file" / "state"))
    assert "SEEKSERVE_STATE_DIR" in failed("list")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", 90), ("30m", 1800), ("12h", 43200), ("30d", 2592000), ("2w", 1209600), ("0s", 0)],
)
def test_times_are_read(text: str, wanted: int) -> None:
    assert keychanges.lasting("--grace", text) == timedelta(seconds=wanted)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert keychanges.later(now, keychanges.lasting("--grace", "999999999w")).year == 9999


@pytest.mark.parametrize("text", ["", "d", "1.5d", "3 d", "٣d", "1y", "1d1h", "9999999999d"])
def test_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        keychanges.lasting("--grace", text)


def test_serve_with_a_damaged_file_says_what_to_do(path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)
    result = CliRunner().invoke(cli, ("serve", "--engine", "http://127.0.0.1:9"))
    assert result.exit_code == 2
    assert "damaged" in result.stderr and "What to do" in result.stderr


def test_serve_beyond_loopback_wants_keys_or_no_auth(path: Path) -> None:
    words = ("serve", "--engine", "http://127.0.0.1:9", "--host", "0.0.0.0")
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and "--no-auth" in result.stderr
    added("alice")
    result = CliRunner().invoke(cli, (*words, "--no-auth"))
    assert result.exit_code == 2 and str(path) in result.stderr


def test_keys_need_nothing_that_serves() -> None:
    look = (
        "import sys; from seekserve import cli, keyverbs; "
        "print([m for m in ('starlette', 'fastapi', 'uvicorn', 'prometheus_client') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_key_has_no_field_that_would_show_it() -> None:
    assert set(Key.model_fields) & {"key", "text", "token", "secret"} == set()

"""How an operator gets to the Console: the banner's link, a key's scope, the verbs that make one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console as Terminal
from typer.testing import CliRunner

from seekserve.binding import url_of
from seekserve.cli import cli
from seekserve.gateway import keyfile
from seekserve.screen import Screen
from seekserve.settings import Listen

LINK = ("http://127.0.0.1:8000/console", "http://127.0.0.1:8000/console#pass=s3cret")


def linked(terminal: bool) -> str:
    page = io.StringIO()
    screen = Screen(Terminal(file=page, force_terminal=terminal, width=200))
    screen.linked(*LINK)
    return page.getvalue()


def test_a_person_is_shown_the_link_and_a_file_is_not() -> None:
    assert LINK[1] in linked(terminal=True)
    told = linked(terminal=False)
    assert "s3cret" not in told
    assert LINK[0] in told and "seekserve console" in told


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80"),
        ({"host": "::"}, "http://[::1]:8000"),
        ({"host": "fd00::1"}, "http://[fd00::1]:8000"),
        ({"tls_cert": "c", "tls_key": "k"}, "https://127.0.0.1:8000"),
    ],
)
def test_where_it_is(listen: dict[str, object], url: str) -> None:
    assert url_of(Listen.model_validate(listen)) == url


def test_a_key_is_a_clients_unless_said(tmp_path: Path) -> None:
    env = {"SEEKSERVE_STATE_DIR": str(tmp_path)}

    def run(*words: str) -> str:
        told = CliRunner().invoke(cli, ["keys", *words], env=env)
        assert told.exit_code == 0, told.output
        return told.stdout

    run("add", "ann")
    run("add", "chief", "--scope", "operator")
    listed = {one["name"]: one["scope"] for one in json.loads(run("list", "--json"))}
    assert listed == {"ann": "client", "chief": "operator"}
    assert "operator" in run("show", "chief") and "operator" in run("list")
    run("rotate", "chief")
    kept = {key.name: key.scope for key in keyfile.read(tmp_path / keyfile.NAME).keys}
    assert kept == {"ann": "client", "chief": "operator"}
    wrong = CliRunner().invoke(cli, ["keys", "add", "x", "--scope", "king"], env=env)
    assert wrong.exit_code == 2


def test_a_file_from_before_scopes_is_read(tmp_path: Path) -> None:
    """And a client's key is written as it was, so that an older program can read it too."""
    path = tmp_path / keyfile.NAME
    CliRunner().invoke(cli, ["keys", "add", "ann"], env={"SEEKSERVE_STATE_DIR": str(tmp_path)})
    page = json.loads(path.read_text())
    assert "scope" not in page["keys"][0]
    assert keyfile.read(path).keys[0].scope == "client"

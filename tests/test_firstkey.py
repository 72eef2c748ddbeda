"""`serve --first-key`: made where there is none, shown once, and only once the server is sure to start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from seekserve import opsdoor
from seekserve.cli import cli
from seekserve.config import hash_key
from seekserve.firstkey import FirstKey
from seekserve.gateway import keyfile
from tests.serving import served
from tests.support import PATIENCE_S, FakeEngine, fake_engine
from tests.test_keyverbs import TEXT

TOO_LONG = "tier: mine\nladder:\n  - {model: deepseek-r1, context: 100000000}\n"
MAKE = """
import pathlib, sys
from seekserve.firstkey import FirstKey
FirstKey(pathlib.Path(sys.argv[1]), True, False, print).make()
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as running:
        yield running


def serve(folder: Path, *words: str) -> Result:
    """Which ends at once, for what it cannot do."""
    words = ("serve", "--port", "0", "--first-key", *words)
    return CliRunner().invoke(cli, words, env={"SEEKSERVE_STATE_DIR": str(folder)})


def begun(folder: Path, output: Path) -> tuple[str, str]:
    """Where the API of a server is once its engine is ready, and all that it has printed."""
    deadline = time.monotonic() + PATIENCE_S
    while "seekserve is ready" not in (said := output.read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    page = opsdoor.ask(folder / opsdoor.NAME, "GET", "/server", patience_s=PATIENCE_S).page
    return f"http://127.0.0.1:{page['api']['port']}/v1/models", said


def test_it_is_made_once_the_plan_stands(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "tier.yaml").write_text(TOO_LONG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        failures = [
            serve(tmp_path, "--tier", "none"),
            serve(tmp_path, "--tier", str(tmp_path / "tier.yaml")),
            serve(tmp_path, "--engine", engine.url, "--port", port),
        ]
    for failed in failures:
        assert failed.exit_code == 2 and not TEXT.search(failed.output), failed.output
        assert not (tmp_path / keyfile.NAME).exists()
    with (
        served(engine, tmp_path, "--first-key") as (_, output),
        httpx.Client(trust_env=False) as web,
    ):
        url, said = begun(tmp_path, output)
        (text,) = TEXT.findall(said)
        assert web.get(url).status_code == 401
        assert web.get(url, headers={"x-api-key": text}).status_code == 200
    (key,) = keyfile.read(tmp_path / keyfile.NAME).keys
    assert key.name == "first" and key.secrets[0].sha256 == hash_key(text).hex()
    assert text not in (tmp_path / keyfile.NAME).read_text()


def test_none_is_made_beside_a_key_that_is_given(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-another-0123456789abcdef")
    named = {"SEEKSERVE_API_KEY_FILE": str(tmp_path / "key")}
    with served(engine, tmp_path, "--first-key", **named) as (_, output):
        _, said = begun(tmp_path, output)
    assert not TEXT.search(said) and not (tmp_path / keyfile.NAME).exists()


def test_one_that_is_there_is_enough_even_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FirstKey(tmp_path, wanted=True, no_auth=False, say=print)
    assert first.keys() == 1, "it will be made, so no other is asked for"
    first.make()
    assert len(TEXT.findall(capsys.readouterr().out)) == 1
    state = {"SEEKSERVE_STATE_DIR": str(tmp_path)}
    assert CliRunner().invoke(cli, ("keys", "revoke", "first"), env=state).exit_code == 0
    for again in (first, FirstKey(tmp_path, wanted=True, no_auth=False, say=print)):
        again.make()
    assert capsys.readouterr().out == "" and first.keys() == 1
    (tmp_path / keyfile.NAME).write_text(json.dumps({"version": 1, "keys": []}))
    assert first.keys() == 0, "no longer promised"


def test_it_and_no_auth_contradict_each_other(tmp_path: Path) -> None:
    result = serve(tmp_path, "--no-auth")
    assert result.exit_code == 2 and "Leave one of them out" in " ".join(result.stderr.split())
    assert not (tmp_path / keyfile.NAME).exists()


def test_of_servers_that_start_at_once_one_makes_it(tmp_path: Path) -> None:
    words = [sys.executable, "-c", MAKE, str(tmp_path)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = "".join(process.communicate(timeout=60)[0] for process in started)
    assert len(TEXT.findall(said)) == 1
    assert len(keyfile.read(tmp_path / keyfile.NAME).keys) == 1
